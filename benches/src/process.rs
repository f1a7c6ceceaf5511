//! This process as others see it: its memory, now and at its peak.

/// Returns the greatest resident memory of this process so far, in megabytes; `None` where the
/// system does not tell.
pub(crate) fn peak_memory_mb() -> Option<f64> {
    status_mb("VmHWM:")
}

/// Forgets the peak of before, such as that of preparing what is measured.
pub(crate) fn forget_peak_memory() {
    // Where the system does not know of it the peak is that of the whole run.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
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

/// Returns the processor time that this process has used so far, in seconds; `None` where the system does not
/// tell.
pub(crate) fn cpu_seconds() -> Option<f64> {
    /// The unit of these times on Linux, whatever the kernel's own.
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name in parentheses may hold anything; times are the 12th and 13th field after it.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<f64>);
    let (user, system) = (times.next()?.ok()?, times.next()?.ok()?);
    Some((user + system) / TICKS_PER_SECOND)
}
