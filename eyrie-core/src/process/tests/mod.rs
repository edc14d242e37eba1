//! Behaviour of real child processes. Every test ends what it started.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ending;
mod gate;
mod orphan;
mod output;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use super::procfs::members;
use super::{Exit, HeldProcess, OutputLine, ProcessIdentity, ProcessSpec, RunningProcess, Stream};

const PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// Far longer than any test takes; only a hang reaches it.
const HANG: Duration = Duration::from_secs(60);

/// A scratch directory with a script in it.
struct Script {
    dir: TempDir,
    program: PathBuf,
}

impl Script {
    fn new(body: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("script");
        // Run by a shell that only reads it: another test's fork cannot make
        // the file "busy" as it could a program.
        std::fs::write(dir.path().join("body"), body).unwrap();
        std::os::unix::fs::symlink("/bin/sh", &program).unwrap();
        Self { dir, program }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn spec(&self) -> ProcessSpec {
        ProcessSpec {
            program: self.program.clone(),
            args: vec!["body".into()],
            env: vec![("PATH".into(), PATH.into())],
            cwd: self.dir.path().to_owned(),
            user: None,
        }
    }

    fn hold(&self) -> HeldProcess {
        HeldProcess::spawn(&self.spec()).unwrap()
    }

    async fn start(&self) -> RunningProcess {
        self.hold().release().await.unwrap()
    }
}

async fn all_output(process: &mut RunningProcess) -> Vec<OutputLine> {
    let mut all = Vec::new();
    while let Some(batch) = timeout(HANG, process.next_output()).await.unwrap() {
        assert!(!batch.is_empty());
        all.extend(batch);
    }
    all
}

/// Runs a script to its end.
async fn run(body: &str) -> (Vec<OutputLine>, Exit) {
    let script = Script::new(body);
    let mut process = script.start().await;
    let output = all_output(&mut process).await;
    (output, timeout(HANG, process.exited()).await.unwrap())
}

fn texts(output: &[OutputLine], stream: Stream) -> Vec<&str> {
    let of_stream = output.iter().filter(|line| line.stream == stream);
    of_stream.map(|line| line.text.as_str()).collect()
}

/// Waits until output contains a line.
async fn until_line(process: &mut RunningProcess, wanted: &str) {
    loop {
        let batch = timeout(HANG, process.next_output()).await.unwrap();
        if batch.expect("output ended").iter().any(|line| line.text == wanted) {
            return;
        }
    }
}

/// Polls a condition that must come true.
async fn eventually(mut condition: impl FnMut() -> bool) {
    timeout(HANG, async {
        while !condition() {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("condition did not come true");
}

fn group_is_gone(identity: &ProcessIdentity) -> bool {
    members(identity).unwrap().is_empty()
}

/// Whether a child of this process is reaped (or never was one).
fn is_reaped(identity: &ProcessIdentity) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let pid = Pid::from_raw(identity.pid).unwrap();
    matches!(waitid(WaitId::Pid(pid), options), Err(Errno::CHILD))
}

fn read_pid(path: &Path) -> Option<i32> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}
