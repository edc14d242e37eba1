//! A process that runs: its output, its end, and ending it.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Signal, test_kill_process_group};
use tokio::time::{Instant, sleep, sleep_until};

use super::exit::Exit;
use super::identity::ProcessIdentity;
use super::leader::Leader;
use super::output::{Backlog, OutputLine, Stream};
use super::pipe::OutputPipe;
use super::procfs;
use super::watch::ExitWatch;

/// How long output is waited for after the main process ended.
const DRAIN: Duration = Duration::from_millis(250);
/// How long killed members of the group are waited for.
const GROUP_WAIT: Duration = Duration::from_secs(2);
/// How often the group is looked at while its members handle TERM.
const GROUP_INTERVAL: Duration = Duration::from_millis(25);
/// Most pieces one stream adds to a batch.
const BATCH: usize = 1024;
/// After a read of fewer bytes than this, the next one waits for
/// [`COALESCE`], so that a script writing line by line does not cost a
/// wake-up for every line.
const SMALL_READ: usize = 8 * 1024;
const COALESCE: Duration = Duration::from_millis(4);

/// A process whose program has begun.
///
/// Every waiting method is cancel-safe: dropping its future loses nothing,
/// and it can be called again.
///
/// Dropping the process kills its group.
#[derive(Debug)]
pub struct RunningProcess {
    leader: Leader,
    watch: ExitWatch,
    stdout: OutputPipe,
    stderr: OutputPipe,
    backlog: Backlog,
    /// Until when output is waited for; set once the main process ended.
    drain_until: Option<Instant>,
    /// When to read again after a small read.
    read_at: Option<Instant>,
}

impl RunningProcess {
    pub(super) fn new(leader: Leader, stdout: OwnedFd, stderr: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            watch: ExitWatch::new(&leader),
            leader,
            stdout: OutputPipe::new(Stream::Stdout, stdout)?,
            stderr: OutputPipe::new(Stream::Stderr, stderr)?,
            backlog: Backlog::default(),
            drain_until: None,
            read_at: None,
        })
    }

    /// Behaves as on a kernel without pidfds from now on.
    #[cfg(test)]
    pub(super) fn poll_for_exit(&mut self) {
        self.watch = ExitWatch::Polling;
    }

    /// What tells this process from every other.
    #[must_use]
    pub fn identity(&self) -> &ProcessIdentity {
        self.leader.identity()
    }

    /// Waits for output and returns what there is, at least one piece. The
    /// order within a stream is exact, that between the streams is not.
    ///
    /// `None` means that the process ended and its output is over: both
    /// streams reached their end, or 250 ms passed since the process ended
    /// and everything it had written by then was returned. A process that
    /// only closed its output is waited for.
    ///
    /// A process whose output is not fetched blocks once a pipe is full,
    /// usually at 64 KiB.
    pub async fn next_output(&mut self) -> Option<Vec<OutputLine>> {
        loop {
            if let Some(batch) = self.backlog.take() {
                return Some(batch);
            }
            self.notice_exit();
            let expired = self.drain_until.is_some_and(|until| Instant::now() >= until);
            for pipe in [&mut self.stdout, &mut self.stderr] {
                let mut room = BATCH;
                while room > 0
                    && let Some(line) = pipe.next_line()
                {
                    room -= usize::from(self.backlog.push(line, false));
                }
                if expired && room > 0 && pipe.is_open() {
                    pipe.conclude();
                }
            }
            if let Some(batch) = self.backlog.take() {
                return Some(batch);
            }
            if self.stdout.is_drained() && self.stderr.is_drained() && self.drain_until.is_some() {
                return None;
            }
            if !expired {
                self.advance(self.drain_until, self.drain_until.is_none()).await;
            }
        }
    }

    /// How many pieces of output were left out because
    /// [`exited`](Self::exited) or [`stop`](Self::stop) waited while nobody
    /// fetched output.
    #[must_use]
    pub fn dropped_output(&self) -> u64 {
        self.backlog.dropped()
    }

    /// How the main process ended, or `None` while it runs. What it left of
    /// its group is killed, but not waited for.
    pub fn try_exit(&mut self) -> Option<Exit> {
        self.notice_exit();
        self.leader.exit()
    }

    /// Waits until the main process ended and, for at most two seconds, until
    /// what it left of its group is gone; that is killed.
    ///
    /// Meanwhile output is read so that the process does not block on it, and
    /// 256 KiB of it are kept for [`next_output`](Self::next_output). To get
    /// all of it, call this when `next_output` returned `None`.
    pub async fn exited(&mut self) -> Exit {
        let exit = loop {
            self.keep_output();
            if let Some(exit) = self.try_exit() {
                break exit;
            }
            self.advance(None, true).await;
        };
        self.group_gone().await;
        exit
    }

    /// Ends the process: TERM to its group, KILL to the group when some of it
    /// is left after `grace`, then waits until all of it is gone. The grace
    /// applies to the whole group, also when the main process ends first.
    ///
    /// Output is treated as in [`exited`](Self::exited) and can be fetched
    /// afterwards. A process that already ended is left at that.
    ///
    /// Does not return before the main process is reaped; one stuck in the
    /// kernel can defer that. Call it under a timeout where that matters.
    pub async fn stop(&mut self, grace: Duration) -> Exit {
        if self.try_exit().is_none() {
            self.terminate(grace).await;
            self.leader.signal_group(Signal::KILL);
        }
        self.exited().await
    }

    /// Sends TERM and waits until no member of the group lives, at most for
    /// the grace. Leaves the main process unreaped, so that the group's id
    /// stays its own.
    async fn terminate(&mut self, grace: Duration) {
        self.leader.signal_group(Signal::TERM);
        // A stopped process handles nothing until it is continued.
        self.leader.signal_group(Signal::CONT);
        let now = Instant::now();
        // A grace beyond what the clock can express is as good as a year.
        let deadline = now.checked_add(grace).unwrap_or(now + Duration::from_secs(31_536_000));
        let mut next_look = now;
        loop {
            self.keep_output();
            let now = Instant::now();
            if now >= deadline {
                return;
            }
            let ended = self.leader.has_ended();
            if ended && now >= next_look {
                match procfs::members_async(self.leader.identity()).await {
                    Ok(members) if !members.is_empty() => {}
                    _ => return,
                }
                next_look = Instant::now() + GROUP_INTERVAL;
            }
            let until = if ended { deadline.min(next_look) } else { deadline };
            self.advance(Some(until), !ended).await;
        }
    }

    /// Waits for something to happen: input on a stream, the end of the main
    /// process if `watch_exit`, or the given time. Cancel-safe.
    async fn advance(&mut self, until: Option<Instant>, watch_exit: bool) {
        // Input that never runs dry must not keep the runtime's thread.
        tokio::task::consume_budget().await;
        let alarm = async {
            match until {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        if let Some(at) = self.read_at.filter(|at| watch_exit && Instant::now() < *at) {
            tokio::select! {
                () = sleep_until(at) => self.read_at = None,
                () = self.watch.ended(&self.leader) => {}
                () = alarm => {}
            }
            return;
        }
        let count = tokio::select! {
            count = self.stdout.fill(), if self.stdout.is_open() => count,
            count = self.stderr.fill(), if self.stderr.is_open() => count,
            () = self.watch.ended(&self.leader), if watch_exit => return,
            () = alarm => return,
        };
        self.read_at = (1..SMALL_READ).contains(&count).then(|| Instant::now() + COALESCE);
    }

    /// If the main process ended: kills the rest of its group, reaps it and
    /// starts the clock for its output.
    fn notice_exit(&mut self) {
        if self.drain_until.is_none() && self.leader.settle().is_some() {
            self.drain_until = Some(Instant::now() + DRAIN);
            self.stdout.note_owed();
            self.stderr.note_owed();
        }
    }

    /// Keeps what was read, within the backlog's limit.
    fn keep_output(&mut self) {
        for pipe in [&mut self.stdout, &mut self.stderr] {
            while let Some(line) = pipe.next_line() {
                self.backlog.push(line, true);
            }
        }
    }

    /// After the main process was reaped: waits for the members of its group
    /// that were killed.
    async fn group_gone(&self) {
        let give_up = Instant::now() + GROUP_WAIT;
        let mut pause = Duration::from_millis(1);
        // Cheap in the usual case; where it finds something, that may be a
        // zombie nobody reaps or another group by now, so look closer.
        while test_kill_process_group(self.leader.pid()) != Err(Errno::SRCH) {
            let members = procfs::members_async(self.identity()).await;
            if members.is_ok_and(|members| members.is_empty()) {
                return;
            }
            if Instant::now() >= give_up {
                tracing::warn!(group = self.identity().pid, "killed processes are still there");
                return;
            }
            sleep(pause).await;
            pause = (pause * 2).min(GROUP_INTERVAL);
        }
    }
}
