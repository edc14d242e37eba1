//! What `/proc` says about processes and their groups.

use std::io;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};

use super::identity::ProcessIdentity;

/// The part of `/proc/PID/stat` that tells processes apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) pid: i32,
    /// One letter; `Z` and `X` are processes that ended.
    pub(super) state: u8,
    pub(super) group: i32,
    pub(super) session: i32,
    /// Start time in clock ticks since boot.
    pub(super) start_ticks: u64,
}

impl Stat {
    /// Reads one process; `None` when there is none with this id.
    pub(super) fn read(pid: i32) -> io::Result<Option<Self>> {
        match std::fs::read(format!("/proc/{pid}/stat")) {
            Ok(text) => match Self::parse(pid, &text) {
                Some(stat) => Ok(Some(stat)),
                None => Err(io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/stat has an unknown form"))),
            },
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The command name in the second field may hold spaces and parentheses,
    /// so the fields are counted from the last closing one.
    fn parse(pid: i32, text: &[u8]) -> Option<Self> {
        let close = text.iter().rposition(|b| *b == b')')?;
        let rest = std::str::from_utf8(text.get(close + 1..)?).ok()?;
        let mut fields = rest.split_ascii_whitespace();
        Some(Self {
            pid,
            state: *fields.next()?.as_bytes().first()?,
            group: fields.nth(1)?.parse().ok()?,
            session: fields.next()?.parse().ok()?,
            start_ticks: fields.nth(15)?.parse().ok()?,
        })
    }

    /// False for a zombie: it runs no more, but waits to be reaped by a parent
    /// that may never do so.
    fn is_alive(&self) -> bool {
        !matches!(self.state, b'Z' | b'X' | b'x')
    }
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(Errno::SRCH.raw_os_error())
}

/// The living members of the identity's process group.
///
/// Empty when the process id belongs to another process by now: a number is
/// not given out again while it names a group with members, so the group is
/// gone as well. A group that lost its leader is told by session and start
/// times.
pub(super) fn members(identity: &ProcessIdentity) -> io::Result<Vec<Stat>> {
    // One look can miss a process that was started behind it by one that
    // ended ahead of it.
    let found = look(identity)?;
    if found.is_empty() { look(identity) } else { Ok(found) }
}

fn look(identity: &ProcessIdentity) -> io::Result<Vec<Stat>> {
    if let Some(leader) = Stat::read(identity.pid)?
        && leader.start_ticks != identity.start_ticks
    {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // One that cannot be read is not ours to judge.
        if let Ok(Some(stat)) = Stat::read(pid)
            && stat.group == identity.pid
            && stat.session == identity.session
            && stat.start_ticks >= identity.start_ticks
            && stat.is_alive()
        {
            found.push(stat);
        }
    }
    Ok(found)
}

/// [`members`] off the async threads: on a busy machine it reads thousands of
/// small files.
pub(super) async fn members_async(identity: &ProcessIdentity) -> io::Result<Vec<Stat>> {
    let identity = identity.clone();
    tokio::task::spawn_blocking(move || members(&identity)).await.map_err(io::Error::other)?
}

/// Signals the identity's group if one of the `members` seen before is still
/// there: while it lives, the group's number names no other group.
///
/// The group is signalled at once rather than member by member, so that none
/// escapes by being started meanwhile.
pub(super) fn signal_group(identity: &ProcessIdentity, members: &[Stat], signal: Signal) {
    let same = |seen: &Stat| {
        matches!(Stat::read(seen.pid), Ok(Some(now))
            if now.start_ticks == seen.start_ticks && now.group == seen.group && now.is_alive())
    };
    let Some(group) = Pid::from_raw(identity.pid).filter(|_| members.iter().any(same)) else {
        return;
    };
    if let Err(error) = kill_process_group(group, signal)
        && error != Errno::SRCH
    {
        tracing::debug!(group = identity.pid, %error, "cannot signal a process group");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::Stat;

    #[test]
    fn a_command_name_with_parentheses_does_not_shift_fields() {
        let text = b"77 (a) b (c) S 1 70 60 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 4242 1 1\n";
        let stat = Stat::parse(77, text).unwrap();
        assert_eq!((stat.state, stat.group, stat.session), (b'S', 70, 60));
        assert_eq!(stat.start_ticks, 4242);
    }
}
