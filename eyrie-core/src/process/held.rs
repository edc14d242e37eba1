//! A process that was started but has not begun.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ChildStderr, ChildStdin, ChildStdout, Command, Stdio};

use super::identity::ProcessIdentity;
use super::leader::Leader;
use super::running::RunningProcess;
use super::spec::{ProcessSpec, SpawnError};

/// Waits for permission, then becomes the program. Program and arguments are
/// passed as arguments, never as shell text. Without permission it exits
/// with 125.
const GATE: &str = r#"IFS= read -r go && [ "$go" = go ] || exit 125; exec "$@" </dev/null"#;

/// What the shell calls itself when it reports that it cannot execute the
/// program.
const GATE_NAME: &str = "eyrie";

/// A process that exists, and can be recorded, but has not begun its program.
///
/// Dropping it ends it: the program never begins. The same holds when the
/// program that holds it dies.
#[derive(Debug)]
pub struct HeldProcess {
    leader: Leader,
    stdin: ChildStdin,
    stdout: ChildStdout,
    stderr: ChildStderr,
}

impl HeldProcess {
    /// Starts the gate for a program, in a process group of its own.
    ///
    /// The program gets `/dev/null` as standard input. A program that cannot
    /// be executed after all, for instance because its interpreter is missing
    /// or the file is still open for writing, is not an error here: it shows
    /// as a message on standard error and exit code 126 or 127.
    ///
    /// # Errors
    ///
    /// [`SpawnError`] when program, directory or environment fail a check, or
    /// the system cannot start a process.
    pub fn spawn(spec: &ProcessSpec) -> Result<Self, SpawnError> {
        let (program, cwd) = spec.resolve()?;
        let mut command = command(spec, &program, &cwd);
        let mut child = command.spawn().map_err(|source| SpawnError::Start { program: program.clone(), source })?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let leader = Leader::new(child).map_err(|source| SpawnError::Identity { program: program.clone(), source })?;
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            let source = io::Error::other("a standard stream was not piped");
            return Err(SpawnError::Start { program, source });
        };
        Ok(Self { leader, stdin, stdout, stderr })
    }

    /// What to record before [`release`](Self::release). It stays the same
    /// for the program's whole life.
    #[must_use]
    pub fn identity(&self) -> &ProcessIdentity {
        self.leader.identity()
    }

    /// Lets the program begin. Does not wait, so it cannot be cancelled half
    /// way. Needs a tokio runtime with I/O and time enabled.
    ///
    /// # Errors
    ///
    /// [`SpawnError::Release`] when the held process is gone or its output
    /// cannot be watched; the program has not begun and will not.
    pub async fn release(self) -> Result<RunningProcess, SpawnError> {
        let pid = self.identity().pid;
        let failed = |source| SpawnError::Release { pid, source };
        let Self { leader, mut stdin, stdout, stderr } = self;
        let running = RunningProcess::new(leader, stdout.into(), stderr.into()).map_err(failed)?;
        // An empty pipe takes three bytes at once. Closing it afterwards is
        // what the gate sees should it not have read yet: the line, then end.
        stdin.write_all(b"go\n").map_err(failed)?;
        Ok(running)
    }

    /// Closes the gate's input as the death of this program would, keeping
    /// the process itself.
    #[cfg(test)]
    pub(super) fn close_gate(self) -> impl Sized {
        drop(self.stdin);
        (self.leader, self.stdout, self.stderr)
    }
}

fn command(spec: &ProcessSpec, program: &Path, cwd: &Path) -> Command {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", GATE, GATE_NAME])
        .arg(program)
        .args(&spec.args)
        .env_clear()
        .envs(spec.env.iter().map(|(name, value)| (name, value)))
        .current_dir(cwd)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    if let Some(user) = spec.user {
        command.gid(user.gid).uid(user.uid);
    }
    command
}
