//! What a process has used, read from `/proc`.

use std::time::Duration;

/// Processor time of the process so far, user and system.
pub fn cpu_time(pid: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    // Linux reports these in hundredths of a second (USER_HZ).
    Some(Duration::from_millis(ticks * 10))
}

/// A field of `/proc/PID/status` in KiB, for instance `VmHWM` (the most memory so far) or `VmRSS` (now).
pub fn memory_kib(pid: u32, field: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(field))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
