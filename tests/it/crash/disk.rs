//! A full disk: refused for what it is, nothing acknowledged lost, and everything goes on once there is room.

use std::{fs, path::Path, process::Command, thread::sleep, time::Duration};

use eyrie_tests::crash::{
    field::Field,
    oracle::{Leases, judge},
    process::Process,
};

use super::field;

/// A lease of 12 s: the recorder gives up after 6 s, the lease is lost after 6.8 s at the earliest. What happens in between is the
/// worst: runs are given up by a worker that goes on.
const LEASE: &str = "lease=12000";
const FAILING: Duration = Duration::from_millis(6300);

/// A small filesystem in memory, unmounted at the end.
struct Mount(std::path::PathBuf);

impl Mount {
    /// None where this process may not mount, which `scripts/test` says aloud; a failure where nothing may be skipped.
    fn new(folder: &Path, size: &str) -> Option<Self> {
        fs::create_dir(folder).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(folder).output().unwrap();
        let may_skip = std::env::var("EYRIE_TEST_REQUIRE").as_deref() != Ok("all");
        assert!(mounted.status.success() || may_skip, "mount: {}", String::from_utf8_lossy(&mounted.stderr));
        mounted.status.success().then(|| Self(folder.to_owned()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // What a failed test keeps is in the folder around it.
        let _ = Command::new("umount").arg(&self.0).output();
    }
}

fn refused_for_want_of_room(field: &Field) {
    let refused = field.wait_for("refused", 1);
    assert!(refused.iter().all(|line| line[2] == "storage-full"), "{refused:?}");
}

#[test]
fn a_full_database_refuses_and_goes_on_with_more_room() {
    let field = field(31);
    let process = field.start(&["enqueue=fill", "worker=no", "max_pages=500"]);
    refused_for_want_of_room(&field);
    process.kill();
    let kept = field.journal.those("ack-enqueue").len();
    assert!(kept > 5, "only {kept} runs found room");
    field.drain(&[field.lease()]);
    let found = judge(&field, Leases::Kept);
    println!("crash: full database after {kept} runs; {found}");
    assert!(found.runs >= kept);
}

#[test]
fn a_full_disk_under_a_working_engine_is_survived() {
    let mut field = field(32);
    let folder = field.folder.join("small");
    let Some(_mount) = Mount::new(&folder, "48m") else {
        eprintln!("!!! SKIPPED: a full disk (this process may not mount)");
        return;
    };
    field.database = folder.join("eyrie.db");
    let ballast = folder.join("ballast");
    fs::write(&ballast, vec![b'x'; 43 * 1024 * 1024]).unwrap();
    let process = field.start(&["enqueue=fill", LEASE, "drain=yes"]);
    refused_for_want_of_room(&field);
    sleep(FAILING);
    fs::remove_file(&ballast).unwrap();
    let given_up = given_up(&process);
    process.wait_end(Duration::from_secs(60));
    refused_for_want_of_room(&field);
    let refused = field.journal.those("refused").len();
    let found = judge(&field, Leases::Lost);
    println!("crash: full disk, {refused} refusals, {given_up} runs given up; {found}");
}

#[test]
fn writes_that_fail_for_a_while_are_survived() {
    let field = field(33);
    // Writes behind the limit fail, instead of ending the process.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_crash-child")]);
    let mut process = field.start_as(command, &["enqueue=60", LEASE, "drain=yes"]);
    field.wait_for("end", 20);
    let limit = |bytes: &str| {
        let done = Command::new("prlimit").args(["--pid", &process.id().to_string(), &format!("--fsize={bytes}:unlimited")]).status();
        done.is_ok_and(|status| status.success())
    };
    // The journal is bound by the same limit: only what the database writes gets that far.
    let size = fs::metadata(field.folder.join("eyrie.db-wal")).unwrap().len();
    assert!(fs::metadata(field.folder.join("journal")).unwrap().len() < size / 2);
    assert!(limit(&size.to_string()));
    sleep(FAILING);
    assert!(limit("unlimited"));
    process.assert_alive();
    let given_up = given_up(&process);
    process.wait_end(Duration::from_secs(60));
    let found = judge(&field, Leases::Lost);
    println!("crash: failing writes, {given_up} runs given up; {found}");
}

/// How many runs the process says it left to be taken over.
fn given_up(process: &Process) -> usize {
    fs::read_to_string(process.log()).unwrap().matches("could not be recorded").count()
}
