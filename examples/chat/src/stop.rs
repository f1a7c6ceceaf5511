//! The program ends in order when the system asks it to.

use std::io;

/// Waits until the system asks the program to end: Ctrl-C, a termination, or a closed terminal.
///
/// # Errors
/// The error of the system if it cannot tell.
#[cfg(unix)]
pub(crate) async fn asked() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
    Ok(())
}

/// Waits until the system asks the program to end: Ctrl-C.
///
/// # Errors
/// The error of the system if it cannot tell.
#[cfg(not(unix))]
pub(crate) async fn asked() -> io::Result<()> {
    tokio::signal::ctrl_c().await
}
