//! What tells one process from every other, before and after it.

use std::io;

use serde::{Deserialize, Serialize};

use super::procfs::Stat;

/// A process group's leader, told from every other process there was or will
/// be on this machine. This is what a takeover needs to record.
///
/// It holds for the pid namespace it was taken in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// Process id, and id of the process group it leads.
    pub pid: i32,
    /// Session the group belongs to. A group cannot change its session.
    pub session: i32,
    /// When it started, in clock ticks since boot: field 22 of
    /// `/proc/PID/stat`.
    pub start_ticks: u64,
    /// The boot it started in: `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
}

impl ProcessIdentity {
    /// Identifies a process that exists.
    pub(super) fn of(pid: i32) -> io::Result<Self> {
        let stat = Stat::read(pid)?.ok_or(io::ErrorKind::NotFound)?;
        Ok(Self { pid, session: stat.session, start_ticks: stat.start_ticks, boot_id: boot_id()? })
    }
}

/// The id of this boot of the kernel.
pub(super) fn boot_id() -> io::Result<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(text.trim().to_owned())
}
