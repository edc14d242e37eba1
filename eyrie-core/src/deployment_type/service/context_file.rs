//! The file that tells a script what it is to do: readable by the script's user alone, and removed when the script has ended.

use std::{
    io::Write,
    os::unix::fs::{OpenOptionsExt, chown},
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{
    error::{Error, ErrorKind, Result},
    process::RunAs,
    random,
};

/// A context file. Dropping it removes it.
#[derive(Debug)]
pub(super) struct ContextFile(PathBuf);

impl ContextFile {
    /// Writes `content` to a new file with mode 0600 in `folder`, owned by `user` if there is one.
    pub(super) fn create(folder: &Path, content: &Value, user: Option<RunAs>) -> Result<Self> {
        let failed = |error: std::io::Error| {
            let kind = if error.kind() == std::io::ErrorKind::StorageFull { ErrorKind::StorageFull } else { ErrorKind::Unavailable };
            Error::new(kind, "write context file", format!("a context file could not be written in {}", folder.display()))
                .with_source(error)
        };
        let mut name = [0_u8; 16];
        random::fill(&mut name)?;
        let path = folder.join(format!("eyrie-{}.json", data_encoding::HEXLOWER.encode(&name)));
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
        let this = Self(path);
        file.write_all(content.to_string().as_bytes()).map_err(failed)?;
        if let Some(user) = user {
            chown(&this.0, Some(user.uid), Some(user.gid)).map_err(failed)?;
        }
        Ok(this)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Removes a file that an earlier process left, if it is one of ours.
    pub(super) fn remove_left_over(path: &Path) {
        let ours =
            path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("eyrie-") && name.ends_with(".json"));
        if ours {
            drop(std::fs::remove_file(path));
        }
    }
}

impl Drop for ContextFile {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}
