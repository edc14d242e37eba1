//! What to run, and why it could not be started.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::Metadata;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

/// A program to run, with everything it gets to see.
///
/// Its `Debug` form shows the names of environment variables, not their
/// values, which may be secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct ProcessSpec {
    /// The file to execute. A relative path starts at `cwd`; there is no
    /// search through `PATH`.
    pub program: PathBuf,
    /// Arguments after the program's own name. Other users of the machine can
    /// read them while the process lives.
    pub args: Vec<OsString>,
    /// The whole environment: nothing is inherited. Names must be shell
    /// identifiers, because a shell carries them to the program. That shell
    /// adds `PWD`, and `SHLVL`, `OLDPWD` or `_` where `/bin/sh` is bash.
    pub env: Vec<(OsString, OsString)>,
    /// The working directory.
    pub cwd: PathBuf,
    /// Run as another user; `None` keeps the caller's.
    pub user: Option<RunAs>,
}

/// The user and group a process runs as. Changing them takes privileges; a
/// privileged caller's supplementary groups are dropped as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunAs {
    /// Numeric user id.
    pub uid: u32,
    /// Numeric group id.
    pub gid: u32,
}

/// A process that could not be started. The program has not begun.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// There is no such file.
    #[error("program {} does not exist", program.display())]
    ProgramMissing {
        /// The resolved path.
        program: PathBuf,
    },
    /// The program cannot be looked at, for instance because a directory on
    /// the way to it is closed.
    #[error("program {} cannot be read", program.display())]
    ProgramUnreadable {
        /// The resolved path.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A directory, device or the like.
    #[error("program {} is not a regular file", program.display())]
    ProgramNotAFile {
        /// The resolved path.
        program: PathBuf,
    },
    /// The file's mode does not let the target user execute it.
    #[error("program {} is not executable by the user it is to run as", program.display())]
    ProgramNotExecutable {
        /// The resolved path.
        program: PathBuf,
    },
    /// The working directory is missing or cannot be looked at.
    #[error("working directory {} is not available", cwd.display())]
    DirectoryUnavailable {
        /// The directory.
        cwd: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The working directory is something else.
    #[error("working directory {} is not a directory", cwd.display())]
    NotADirectory {
        /// The path.
        cwd: PathBuf,
    },
    /// A variable's name is no shell identifier, so it would not reach the
    /// program.
    #[error("environment variable name {name:?} is not a shell identifier")]
    EnvironmentName {
        /// The name.
        name: OsString,
    },
    /// The system refused to start the gate: no privilege to change user, too
    /// many processes, or a NUL byte in an argument or value.
    #[error("cannot start a process for {}", program.display())]
    Start {
        /// The resolved path.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The started process could not be identified through `/proc`.
    #[error("cannot identify the process started for {}", program.display())]
    Identity {
        /// The resolved path.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The held process was gone already, or its output could not be watched.
    #[error("cannot release held process {pid}")]
    Release {
        /// Process id of the gate.
        pid: i32,
        /// What the system said.
        source: io::Error,
    },
}

impl ProcessSpec {
    /// Checks what can be checked before spawning and returns the absolute
    /// paths of program and working directory.
    pub(super) fn resolve(&self) -> Result<(PathBuf, PathBuf), SpawnError> {
        let unavailable = |source| SpawnError::DirectoryUnavailable { cwd: self.cwd.clone(), source };
        let cwd = std::path::absolute(&self.cwd).map_err(unavailable)?;
        if !std::fs::metadata(&cwd).map_err(unavailable)?.is_dir() {
            return Err(SpawnError::NotADirectory { cwd });
        }

        let program = cwd.join(&self.program);
        let meta = match std::fs::metadata(&program) {
            Ok(meta) => meta,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(SpawnError::ProgramMissing { program });
            }
            Err(source) => return Err(SpawnError::ProgramUnreadable { program, source }),
        };
        if !meta.is_file() {
            return Err(SpawnError::ProgramNotAFile { program });
        }
        if !may_execute(&program, &meta, self.user) {
            return Err(SpawnError::ProgramNotExecutable { program });
        }

        match self.env.iter().find(|(name, _)| !is_identifier(name)) {
            Some((name, _)) => Err(SpawnError::EnvironmentName { name: name.clone() }),
            None => Ok((program, cwd)),
        }
    }
}

/// Whether the user may execute the file, as far as its mode tells.
fn may_execute(program: &Path, meta: &Metadata, user: Option<RunAs>) -> bool {
    let Some(user) = user else {
        return access(program, Access::EXEC_OK).is_ok();
    };
    let mask = if user.uid == 0 {
        0o111
    } else if user.uid == meta.uid() {
        0o100
    } else if user.gid == meta.gid() {
        0o010
    } else {
        0o001
    };
    meta.permissions().mode() & mask != 0
}

fn is_identifier(name: &OsStr) -> bool {
    match name.as_bytes() {
        [] => false,
        [first, rest @ ..] => {
            (first.is_ascii_alphabetic() || *first == b'_') && rest.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_')
        }
    }
}

impl fmt::Debug for ProcessSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.env.iter().map(|(name, _)| name).collect();
        f.debug_struct("ProcessSpec")
            .field("program", &self.program)
            .field("args", &self.args)
            .field("env", &names)
            .field("cwd", &self.cwd)
            .field("user", &self.user)
            .finish()
    }
}
