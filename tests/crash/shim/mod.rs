//! Small libraries in C that are loaded before the C library into processes of ours: built when they are needed.

use std::{path::Path, process::Command, sync::OnceLock};

/// The environment of a process whose wall clock is off by so many seconds.
pub fn skewed_clock(seconds: i64) -> Vec<(&'static str, String)> {
    vec![("LD_PRELOAD", library("clock", include_str!("clock.c"))), ("EYRIE_TEST_CLOCK", seconds.to_string())]
}

/// The environment of a process whose writes to the database in this folder are written down in that file.
pub fn traced_device(folder: &Path, trace: &Path) -> Vec<(&'static str, String)> {
    let folder = folder.canonicalize().expect("a folder");
    vec![
        ("LD_PRELOAD", library("device", include_str!("device.c"))),
        ("EYRIE_TEST_FOLDER", folder.display().to_string()),
        ("EYRIE_TEST_TRACE", trace.display().to_string()),
    ]
}

/// Where the built library is. It stays as long as this process.
fn library(name: &str, source: &str) -> String {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| tempfile::tempdir().expect("a temporary folder"));
    // Built anew each time under a name of its own: two tests may want it at the same time.
    let built = tempfile::Builder::new().prefix(name).suffix(".so").tempfile_in(folder.path()).expect("a file").into_temp_path();
    let code = built.with_extension("c");
    std::fs::write(&code, source).expect("the source is written");
    let mut cc = Command::new("cc");
    cc.args(["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-pthread", "-o"]).arg(&built).arg(&code);
    let done = cc.output().expect("a C compiler (apt-get install build-essential)");
    assert!(done.status.success(), "cc: {}", String::from_utf8_lossy(&done.stderr));
    built.keep().expect("the library stays").display().to_string()
}
