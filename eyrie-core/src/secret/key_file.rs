//! The keyring in a file that its owner alone can read.
//!
//! Whatever is wrong with the file, it is refused and left as it is: there is no way back to a key that was overwritten. A change is
//! written to a file beside it, made durable, and moved into its place; several processes take turns by a lock beside it.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock},
};

use data_encoding::{BASE64, HEXLOWER};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    clock::Timestamp,
    error::{Error, ErrorKind, Result},
    random,
    secret::{
        KeyInfo, KeyVersion, Keyring, SealedPlace, SealedValue, SecretValue,
        key::{KEY_BYTES, Key, KeySet, failed},
    },
};

/// The largest file that can be a keyring, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// A keyring in a file.
#[derive(Debug)]
pub struct KeyFile {
    path: PathBuf,
    keys: RwLock<KeySet>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// The form of the file.
    eyrie_keyring: u32,
    keys: Vec<WrittenKey>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenKey {
    version: KeyVersion,
    key: Zeroizing<String>,
    created_at: Timestamp,
}

impl KeyFile {
    /// Opens the keyring at `path`.
    ///
    /// # Errors
    /// `NotFound` when there is no file; `Denied` when it is a symbolic link, belongs to somebody else, or others may read or write it;
    /// `Corrupt` when it is cut short or no keyring; `Incompatible` when it is a newer program's. The file is left as it is.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let keys = RwLock::new(read(&path)?);
        Ok(Self { path, keys })
    }

    /// Makes a keyring with one new key at `path`, readable by its owner alone. Only for where nothing sealed exists.
    ///
    /// # Errors
    /// `AlreadyExists` when there is something at `path`, which is left as it is; otherwise when it cannot be written.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let keys = KeySet::generate()?;
        let _turn = turn(&path)?;
        let new = write_beside(&path, &keys)?;
        // A link, unlike a move, takes no file's place.
        let placed = std::fs::hard_link(&new, &path);
        drop(std::fs::remove_file(&new));
        placed.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => failed(ErrorKind::AlreadyExists, format!("there is something at {} already", path.display())),
            _ => io_failed("written", &path, error),
        })?;
        sync_folder(&path)?;
        Ok(Self { path, keys: RwLock::new(keys) })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn set(&self) -> KeySet {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put(&self, set: KeySet) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = set;
    }

    /// Changes the keys as they are in the file now, and the file with them.
    fn change<T>(&self, change: impl FnOnce(&mut KeySet) -> Result<T>) -> Result<T> {
        let _turn = turn(&self.path)?;
        let mut set = read(&self.path)?;
        let done = change(&mut set)?;
        let new = write_beside(&self.path, &set)?;
        if let Err(error) = std::fs::rename(&new, &self.path) {
            drop(std::fs::remove_file(&new));
            return Err(io_failed("written", &self.path, error));
        }
        sync_folder(&self.path)?;
        self.put(set);
        Ok(done)
    }
}

impl Keyring for KeyFile {
    fn keys(&self) -> Vec<KeyInfo> {
        self.set().info()
    }

    fn seal(&self, place: &SealedPlace, value: &SecretValue) -> Result<SealedValue> {
        self.set().seal(place, value)
    }

    fn open(&self, place: &SealedPlace, sealed: &SealedValue) -> Result<SecretValue> {
        self.set().open(place, sealed)
    }

    fn add_key(&self) -> Result<KeyVersion> {
        self.change(KeySet::add)
    }

    fn drop_key(&self, version: KeyVersion) -> Result<()> {
        self.change(|set| set.remove(version))
    }

    fn refresh(&self) -> Result<()> {
        self.put(read(&self.path)?);
        Ok(())
    }
}

fn io_failed(what: &str, path: &Path, error: io::Error) -> Error {
    let kind = if error.kind() == io::ErrorKind::StorageFull { ErrorKind::StorageFull } else { ErrorKind::Unavailable };
    failed(kind, format!("the keyring {} could not be {what}", path.display())).with_source(error)
}

fn read(path: &Path) -> Result<KeySet> {
    let shown = path.display();
    let no_follow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(no_follow).open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => failed(ErrorKind::NotFound, format!("there is no keyring at {shown}")),
        _ if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => denied(path, "is a symbolic link"),
        io::ErrorKind::PermissionDenied => denied(path, "may not be read by who runs this program"),
        _ => io_failed("read", path, error),
    })?;
    let about = file.metadata().map_err(|error| io_failed("read", path, error))?;
    if !about.is_file() {
        return Err(denied(path, "is no file"));
    }
    if about.uid() != rustix::process::geteuid().as_raw() {
        return Err(denied(path, "does not belong to who runs this program"));
    }
    if about.mode() & 0o077 != 0 {
        return Err(denied(path, "may be read or written by others than its owner; take that away with chmod 600"));
    }
    let mut text = Zeroizing::new(String::new());
    let corrupt = |why: &str| failed(ErrorKind::Corrupt, format!("the keyring {shown} cannot be read: {why}; bring back a copy of it"));
    file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => corrupt("it is no text"),
        _ => io_failed("read", path, error),
    })?;
    if text.len() as u64 > MAX_FILE {
        return Err(corrupt("it is too large"));
    }
    // What the reader would say may show a piece of a key.
    let written: Written = serde_json::from_str(&text).map_err(|error| match error.is_eof() {
        true => corrupt("it is cut short"),
        false => corrupt(&format!("it is no keyring (line {})", error.line())),
    })?;
    if written.eyrie_keyring != 1 {
        return Err(failed(ErrorKind::Incompatible, format!("the keyring {shown} was written by a newer program")));
    }
    let mut set = KeySet(std::collections::BTreeMap::new());
    for WrittenKey { version, key, created_at } in written.keys {
        let bytes = BASE64.decode(key.as_bytes()).map(Zeroizing::new).ok();
        let bytes = bytes.and_then(|bytes| <[u8; KEY_BYTES]>::try_from(bytes.as_slice()).ok());
        let bytes =
            bytes.map(Zeroizing::new).ok_or_else(|| corrupt(&format!("key version {version} is not {KEY_BYTES} bytes as base64")))?;
        if set.0.insert(version, Key { bytes, created_at }).is_some() {
            return Err(corrupt(&format!("key version {version} stands there twice")));
        }
    }
    if set.0.is_empty() {
        return Err(corrupt("it holds no key"));
    }
    Ok(set)
}

fn denied(path: &Path, why: &str) -> Error {
    failed(ErrorKind::Denied, format!("the keyring {} {why}", path.display()))
}

/// Waits until nobody else changes the file; the lock ends with what is returned.
fn turn(path: &Path) -> Result<File> {
    let lock = sibling(path, "lock")?;
    let taken = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&lock).and_then(|file| {
        file.lock()?;
        Ok(file)
    });
    taken.map_err(|error| io_failed("locked", path, error))
}

/// Writes the keys to a new, durable file beside `path`.
fn write_beside(path: &Path, set: &KeySet) -> Result<PathBuf> {
    let keys = set.0.iter().map(|(version, key)| WrittenKey {
        version: *version,
        key: Zeroizing::new(BASE64.encode(&*key.bytes)),
        created_at: key.created_at,
    });
    let written = Written { eyrie_keyring: 1, keys: keys.collect() };
    let text = serde_json::to_string_pretty(&written).map(Zeroizing::new);
    let text = text.map_err(|error| failed(ErrorKind::Internal, "the keyring could not be written").with_source(error))?;
    let mut name = [0_u8; 8];
    random::fill(&mut name)?;
    let new = sibling(path, &format!("{}.new", HEXLOWER.encode(&name)))?;
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()
    };
    write().map_err(|error| {
        drop(std::fs::remove_file(&new));
        io_failed("written", path, error)
    })?;
    Ok(new)
}

fn sibling(path: &Path, ending: &str) -> Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| failed(ErrorKind::Invalid, format!("{} names no file", path.display())))?;
    let mut name = name.to_os_string();
    name.push(".");
    name.push(ending);
    Ok(path.with_file_name(name))
}

/// Makes durable which files are in the folder.
fn sync_folder(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| io_failed("made durable", path, error))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::id::SecretId;

    #[test]
    fn a_keyring_is_made_opened_rotated_and_seen_by_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        assert_eq!(KeyFile::open(&path).unwrap_err().kind(), ErrorKind::NotFound);
        let made = KeyFile::create(&path).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        let (place, value) = (SealedPlace::value(SecretId::new(), 1), SecretValue::new("correct horse").unwrap());
        let sealed = made.seal(&place, &value).unwrap();
        let other = KeyFile::open(&path).unwrap();
        assert_eq!(other.open(&place, &sealed).unwrap(), value);
        let before = std::fs::read(&path).unwrap();
        assert_eq!(KeyFile::create(&path).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), before, "nothing is overwritten");

        assert_eq!(made.add_key().unwrap(), KeyVersion::new(2));
        assert_eq!(other.add_key().unwrap(), KeyVersion::new(3), "it looks at the file before it changes it");
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        let newer = other.seal(&place, &value).unwrap();
        assert_eq!(made.open(&place, &newer).unwrap_err().kind(), ErrorKind::Incompatible);
        made.refresh().unwrap();
        assert_eq!(made.open(&place, &newer).unwrap(), value);
        made.drop_key(KeyVersion::FIRST).unwrap();
        assert_eq!(made.open(&place, &sealed).unwrap_err().kind(), ErrorKind::Incompatible);
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "the file and its lock: {left:?}");
    }

    #[test]
    fn a_file_that_is_not_as_it_should_be_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        drop(KeyFile::create(&path).unwrap());
        let whole = std::fs::read_to_string(&path).unwrap();
        let refused = |kind: ErrorKind, word: &str| {
            let before = std::fs::read(&path).unwrap();
            let error = KeyFile::open(&path).unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(word), "{error}");
            assert_eq!(std::fs::read(&path).unwrap(), before);
        };
        for at in [0, 1, whole.len() / 2, whole.len() - 3] {
            std::fs::write(&path, &whole[..at]).unwrap();
            refused(ErrorKind::Corrupt, "cut short");
        }
        for (bad, word) in [
            ("{\"eyrie_keyring\":1,\"keys\":[]}", "no key"),
            ("hello", "no keyring"),
            ("{\"eyrie_keyring\":1,\"keys\":[{\"version\":1,\"key\":\"AAAA\",\"created_at\":\"2026-01-01T00:00:00Z\"}]}", "32 bytes"),
        ] {
            std::fs::write(&path, bad).unwrap();
            refused(ErrorKind::Corrupt, word);
        }
        std::fs::write(&path, whole.replace("\"eyrie_keyring\": 1", "\"eyrie_keyring\": 2")).unwrap();
        refused(ErrorKind::Incompatible, "newer");
        std::fs::write(&path, &whole).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o666] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            refused(ErrorKind::Denied, "chmod 600");
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let link = folder.path().join("link");
        symlink(&path, &link).unwrap();
        let error = KeyFile::open(&link).unwrap_err();
        assert!(error.kind() == ErrorKind::Denied && error.to_string().contains("symbolic link"), "{error}");
        assert_eq!(KeyFile::open(folder.path()).unwrap_err().kind(), ErrorKind::Denied);
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(12345), None).unwrap();
            refused(ErrorKind::Denied, "does not belong");
        }
    }
}
