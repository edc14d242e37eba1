//! Services written by a test, and a look at the processes that they leave.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::Value;

/// Writes the service's folder: its config and an executable `deploy.sh`.
pub fn write_service(root: &Path, name: &str, config: &Value, script: &str) {
    let folder = root.join(name);
    fs::create_dir_all(&folder).expect("the service's folder");
    fs::write(folder.join("config.json"), config.to_string()).expect("its config");
    write_script(&folder.join("deploy.sh"), script);
}

/// Writes an executable file. A text without a first line of its own is for `sh`.
pub fn write_script(path: &Path, text: &str) {
    let text = if text.starts_with("#!") { text.to_owned() } else { format!("#!/bin/sh\n{text}") };
    // Renamed into place: a process that forked meanwhile may still hold the written file open, and what is open for writing is
    // not executed.
    let new = path.with_extension("new");
    fs::write(&new, text).expect("the script");
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).expect("its mode");
    fs::rename(&new, path).expect("the script's place");
}

/// Whether a process of that id lives. One that ended and waits for its parent does not.
#[must_use]
pub fn lives(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// The number behind each line of the text that begins with `word`.
#[must_use]
pub fn pids(text: &str, word: &str) -> Vec<u32> {
    text.lines().filter_map(|line| line.strip_prefix(word)?.trim().parse().ok()).collect()
}

/// Waits until it is so.
///
/// # Panics
/// When it is not within the limit.
pub async fn wait_until(limit: Duration, what: &str, mut reached: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !reached().await {
        assert!(begun.elapsed() < limit, "waited {limit:?} in vain for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
