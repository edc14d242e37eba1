//! Waiting for a process to end without reaping it.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::process::{PidfdFlags, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::sleep;

use super::leader::Leader;

/// How often to look where the kernel does not report.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Notices that the main process ended.
#[derive(Debug)]
pub(super) enum ExitWatch {
    /// The kernel reports it.
    Handle(AsyncFd<OwnedFd>),
    /// No pidfds here: an old kernel or a strict system call filter.
    Polling,
}

impl ExitWatch {
    /// Must be called within a runtime with I/O enabled.
    pub(super) fn new(leader: &Leader) -> Self {
        pidfd_open(leader.pid(), PidfdFlags::empty()).map_err(io::Error::from).and_then(register).map_or(Self::Polling, Self::Handle)
    }

    /// Waits until the process ended. Cancel-safe.
    pub(super) async fn ended(&self, leader: &Leader) {
        while !leader.has_ended() {
            let Self::Handle(handle) = self else {
                sleep(POLL_INTERVAL).await;
                continue;
            };
            match handle.readable().await {
                Ok(mut ready) => {
                    if leader.has_ended() {
                        return;
                    }
                    ready.clear_ready();
                }
                Err(_) => sleep(POLL_INTERVAL).await,
            }
        }
    }
}

#[allow(deprecated, reason = "its replacement is unsafe, to have the caller vouch that the type owns its descriptor: this one does")]
fn register(handle: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(handle, Interest::READABLE)
}
