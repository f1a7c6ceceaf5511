//! This process as others see it: its memory, now and at its peak.

/// Returns the greatest resident memory of this process so far, in megabytes; `None` where the
/// system does not tell.
pub(crate) fn peak_memory_mb() -> Option<f64> {
    status_mb("VmHWM:")
}

/// Returns the resident memory of this process, in megabytes; `None` where the system does not
/// tell.
pub(crate) fn memory_mb() -> Option<f64> {
    status_mb("VmRSS:")
}

fn status_mb(name: &str) -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    let kilobytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes / 1024.0)
}
