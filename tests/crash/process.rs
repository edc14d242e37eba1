//! A process that is told to die.

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    time::{Duration, Instant},
};

use super::journal::Journal;

/// A process of ours. It never outlives this.
#[derive(Debug)]
pub struct Process {
    child: Child,
    journal: Journal,
    log: PathBuf,
    ready: PathBuf,
}

impl Process {
    pub(super) fn new(child: Child, journal: Journal, log: PathBuf, ready: PathBuf) -> Self {
        Self { child, journal, log, ready }
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Kills it at once, which is written down before and after.
    pub fn kill(mut self) {
        self.assert_alive();
        self.journal.say(&[&"killing", &self.id(), &"from outside"]);
        self.child.kill().expect("the process is killed");
        self.child.wait().expect("the process ends");
        self.journal.say(&[&"killed", &self.id()]);
    }

    /// Waits until it has killed itself; false when it did not come to that in time, and still lives.
    pub fn has_killed_itself(&mut self, limit: Duration) -> bool {
        let Some(status) = self.end_within(limit) else { return false };
        assert_eq!(status.signal(), Some(9), "the process ended by itself ({status}):\n{}", self.last_words());
        self.journal.say(&[&"killed", &self.id()]);
        true
    }

    /// Fails when it has ended.
    pub fn assert_alive(&mut self) {
        if let Some(status) = self.child.try_wait().expect("the process can be asked") {
            panic!("the process ended by itself ({status}):\n{}", self.last_words());
        }
    }

    /// Waits until it is at work.
    pub fn wait_ready(&mut self) {
        wait_until(Duration::from_secs(60), "the process's start", || {
            self.assert_alive();
            self.ready.exists()
        });
    }

    /// Sends the signal of that name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), "--", &self.id().to_string()]).status().expect("kill runs");
        assert!(sent.success());
    }

    fn end_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        let begun = Instant::now();
        loop {
            let ended = self.child.try_wait().expect("the process can be asked");
            if ended.is_some() || begun.elapsed() > limit {
                return ended;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for its orderly end.
    pub fn wait_end(mut self, limit: Duration) {
        let ended = self.end_within(limit);
        assert!(
            ended.is_some_and(|status| status.success()),
            "the process did not end well within {limit:?} ({ended:?}):\n{}",
            self.last_words()
        );
    }

    fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for something, and fails when it does not come.
pub fn wait_until(limit: Duration, what: &str, mut reached: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !reached() {
        assert!(begun.elapsed() < limit, "waited {limit:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
