//! Ending a process group whose parent is gone.

use std::io;
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use super::identity::{ProcessIdentity, boot_id};
use super::procfs::{self, Stat};

/// How long killed processes are waited for.
const KILL_WAIT: Duration = Duration::from_secs(5);
/// Longest pause between two looks at the group.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// What became of a recorded process group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Orphan {
    /// It was gone already; nothing was signalled.
    Gone,
    /// It lived, was signalled and is gone now.
    Killed,
    /// It was started before the machine booted, so it cannot live; nothing
    /// was signalled.
    OtherBoot,
    /// It was signalled, but some of it is still there: not permitted, or
    /// stuck in the kernel.
    Survived {
        /// Ids of the processes that are left.
        pids: Vec<i32>,
    },
}

/// Why a recorded process group could not be dealt with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OrphanError {
    /// No process led a group under this id: the record is damaged.
    #[error("{pid} is not the id of a process group")]
    InvalidPid {
        /// The recorded id.
        pid: i32,
    },
    /// Processes could not be listed.
    #[error("cannot read /proc")]
    Proc(#[from] io::Error),
}

/// Ends what is left of a recorded process group: TERM to its members, KILL
/// to those left after `grace`, then waits until they are gone, at most for
/// five seconds.
///
/// Only processes that belong to the recorded group are signalled. When its
/// id names another process by now, there are none. Members that ended but
/// were not reaped by their parent count as gone.
///
/// # Errors
///
/// [`OrphanError`] when the record cannot be a process group or `/proc`
/// cannot be read.
pub async fn end_orphan(identity: &ProcessIdentity, grace: Duration) -> Result<Orphan, OrphanError> {
    if identity.pid <= 1 {
        return Err(OrphanError::InvalidPid { pid: identity.pid });
    }
    if boot_id()? != identity.boot_id {
        return Ok(Orphan::OtherBoot);
    }
    let members = procfs::members_async(identity).await?;
    if members.is_empty() {
        return Ok(Orphan::Gone);
    }

    procfs::signal_group(identity, &members, Signal::TERM);
    // A stopped process handles nothing until it is continued.
    procfs::signal_group(identity, &members, Signal::CONT);
    let mut left = wait(identity, grace, None).await?;
    if !left.is_empty() {
        left = wait(identity, KILL_WAIT, Some(Signal::KILL)).await?;
    }
    if left.is_empty() {
        return Ok(Orphan::Killed);
    }
    Ok(Orphan::Survived { pids: left.iter().map(|member| member.pid).collect() })
}

/// Looks at the group until it is empty or `limit` passed, sending the signal
/// at every look. Returns the members seen last.
async fn wait(identity: &ProcessIdentity, limit: Duration, signal: Option<Signal>) -> io::Result<Vec<Stat>> {
    let begun = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        let members = procfs::members_async(identity).await?;
        let left = limit.saturating_sub(begun.elapsed());
        if members.is_empty() || left.is_zero() {
            return Ok(members);
        }
        if let Some(signal) = signal {
            procfs::signal_group(identity, &members, signal);
        }
        sleep(pause.min(left)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
