//! The group's main process, from the spawn until it is reaped.

use std::io;
use std::process::Child;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process_group, waitid, waitpid};

use super::exit::Exit;
use super::identity::ProcessIdentity;
use super::procfs;

/// The main process of a group. While it is not reaped, its process id cannot
/// be given to another, and neither can the group's: signals go to the group
/// only then.
///
/// Dropping it kills the group and reaps the process in the background.
#[derive(Debug)]
pub(super) struct Leader {
    child: Child,
    pid: Pid,
    identity: ProcessIdentity,
    exit: Option<Exit>,
}

/// What the kernel says about a process without reaping it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Ended,
    /// Reaped by something else in this program.
    Lost,
}

impl Leader {
    /// Takes charge of a child that was started as leader of its own group.
    /// On failure the child is killed and reaped.
    pub(super) fn new(mut child: Child) -> io::Result<Self> {
        let identified = i32::try_from(child.id())
            .ok()
            .and_then(|raw| Some((Pid::from_raw(raw)?, raw)))
            .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
            .and_then(|(pid, raw)| Ok((pid, ProcessIdentity::of(raw)?)));
        match identified {
            Ok((pid, identity)) => Ok(Self { child, pid, identity, exit: None }),
            Err(error) => {
                // It is a gate nobody opened: nothing else is in its group.
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    pub(super) fn identity(&self) -> &ProcessIdentity {
        &self.identity
    }

    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// How it ended, once it is settled.
    pub(super) fn exit(&self) -> Option<Exit> {
        self.exit
    }

    /// Whether it ended, reaped or not. Does not reap.
    pub(super) fn has_ended(&self) -> bool {
        self.exit.is_some() || self.state() != State::Running
    }

    fn state(&self) -> State {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match waitid(WaitId::Pid(self.pid), options) {
            Ok(None) | Err(Errno::INTR) => State::Running,
            Ok(Some(_)) => State::Ended,
            Err(_) => State::Lost,
        }
    }

    /// Signals every member of the group, best effort. Does nothing once the
    /// process is reaped.
    pub(super) fn signal_group(&self, signal: Signal) {
        if self.exit.is_some() {
            return;
        }
        if self.state() == State::Lost {
            // Nothing pins the group's id any more: look before.
            let members = procfs::members(&self.identity).unwrap_or_default();
            procfs::signal_group(&self.identity, &members, signal);
        } else if let Err(error) = kill_process_group(self.pid, signal)
            && error != Errno::SRCH
        {
            tracing::warn!(group = self.identity.pid, %error, "cannot signal a process group");
        }
    }

    /// If it ended: kills what is left of its group, then reaps it. Returns
    /// how it ended, or `None` while it runs.
    pub(super) fn settle(&mut self) -> Option<Exit> {
        if self.exit.is_none() && self.has_ended() {
            self.signal_group(Signal::KILL);
            self.exit = match self.child.try_wait() {
                Ok(Some(status)) => Some(Exit::from(status)),
                Ok(None) => None,
                Err(_) => Some(Exit::Unknown),
            };
        }
        self.exit
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        if self.exit.is_some() {
            return;
        }
        self.signal_group(Signal::KILL);
        if let Ok(None) = self.child.try_wait() {
            let pid = self.pid;
            // Without the thread it stays a zombie until this program ends,
            // which is harmless enough.
            let _ = std::thread::Builder::new()
                .name("process-reaper".to_owned())
                .stack_size(64 * 1024)
                .spawn(move || while let Err(Errno::INTR) = waitpid(Some(pid), WaitOptions::empty()) {});
        }
    }
}
