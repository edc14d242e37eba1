//! What happens before the program begins.

use std::os::unix::fs::PermissionsExt;

use rustix::process::{Pid, Signal, kill_process};

use super::super::procfs::Stat;
use super::super::{Exit, HeldProcess, ProcessIdentity, ProcessSpec, RunAs, SpawnError, Stream};
use super::{Script, all_output, eventually, group_is_gone, is_reaped, texts};

#[tokio::test]
async fn a_dropped_gate_never_begins_the_program() {
    let script = Script::new("echo begun > begun");
    let held = script.hold();
    let identity = held.identity().clone();
    assert_eq!(Stat::read(identity.pid).unwrap().unwrap().group, identity.pid);
    drop(held);
    eventually(|| is_reaped(&identity)).await;
    assert!(group_is_gone(&identity));
    assert!(!script.path("begun").exists());
}

#[tokio::test]
async fn a_gate_whose_parent_dies_never_begins_the_program() {
    let script = Script::new("echo begun > begun");
    let held = script.hold();
    // What the kernel does for a dead parent: the write end closes.
    let pid = held.identity().pid;
    let gate = held.close_gate();
    eventually(|| Stat::read(pid).unwrap().is_none_or(|stat| stat.state == b'Z')).await;
    drop(gate);
    assert!(!script.path("begun").exists());
}

#[tokio::test]
async fn identity_survives_the_release() {
    let script = Script::new("echo $$; read line || echo no input");
    let held = script.hold();
    let identity = held.identity().clone();
    let json = serde_json::to_string(&identity).unwrap();
    assert_eq!(serde_json::from_str::<ProcessIdentity>(&json).unwrap(), identity);
    let mut process = held.release().await.unwrap();
    assert_eq!(process.identity(), &identity);
    let output = all_output(&mut process).await;
    let pid = identity.pid.to_string();
    assert_eq!(texts(&output, Stream::Stdout), [pid.as_str(), "no input"]);
    assert_eq!(process.try_exit(), Some(Exit::Code(0)));
}

#[tokio::test]
async fn releasing_a_dead_gate_is_an_error() {
    let script = Script::new("echo begun > begun");
    let held = script.hold();
    let identity = held.identity().clone();
    let pid = Pid::from_raw(identity.pid).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    eventually(|| Stat::read(identity.pid).unwrap().is_none_or(|stat| stat.state == b'Z')).await;
    assert!(matches!(held.release().await, Err(SpawnError::Release { pid, .. }) if pid == identity.pid));
    eventually(|| is_reaped(&identity)).await;
}

#[tokio::test]
async fn what_cannot_run_is_refused_by_name() {
    let script = Script::new("");
    let plain = script.path("body");
    let spawn = |change: &dyn Fn(&mut ProcessSpec)| {
        let mut spec = script.spec();
        change(&mut spec);
        HeldProcess::spawn(&spec).map(|_| ()).unwrap_err()
    };
    let missing = script.path("missing");
    let error = spawn(&|spec| spec.program = missing.clone());
    assert!(matches!(&error, SpawnError::ProgramMissing { program } if *program == missing));
    assert!(error.to_string().contains(missing.to_str().unwrap()));
    let error = spawn(&|spec| spec.program = "/".into());
    assert!(matches!(error, SpawnError::ProgramNotAFile { .. }));
    let error = spawn(&|spec| spec.program = plain.join("below"));
    assert!(matches!(error, SpawnError::ProgramUnreadable { .. }));
    let error = spawn(&|spec| spec.program = plain.clone());
    assert!(matches!(error, SpawnError::ProgramNotExecutable { .. }));
    let error = spawn(&|spec| spec.cwd = missing.clone());
    assert!(matches!(error, SpawnError::DirectoryUnavailable { .. }));
    let error = spawn(&|spec| spec.cwd = plain.clone());
    assert!(matches!(error, SpawnError::NotADirectory { .. }));
    let error = spawn(&|spec| spec.env.push(("A-B".into(), "".into())));
    assert!(matches!(error, SpawnError::EnvironmentName { .. }));
    let error = spawn(&|spec| spec.args.push("a\0b".into()));
    assert!(matches!(error, SpawnError::Start { .. }));
}

#[test]
fn another_users_right_to_execute_is_judged_by_mode() {
    let script = Script::new("");
    let program = script.path("body");
    let mut spec = script.spec();
    spec.program = program.clone();
    let (uid, gid) = (u32::MAX - 2, u32::MAX - 2);
    let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(&program).unwrap());
    for (mode, uid, allowed) in [(0o700, uid, false), (0o001, uid, true), (0o100, owner, true), (0o600, owner, false)] {
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(mode)).unwrap();
        spec.user = Some(RunAs { uid, gid });
        assert_eq!(spec.resolve().is_ok(), allowed, "{mode:o}");
    }
}

#[tokio::test]
async fn a_missing_interpreter_shows_as_output_and_code() {
    let script = Script::new("#!/no/such/interpreter\n");
    let mut spec = script.spec();
    spec.program = script.path("body");
    std::fs::set_permissions(&spec.program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut process = HeldProcess::spawn(&spec).unwrap().release().await.unwrap();
    let output = all_output(&mut process).await;
    assert!(!texts(&output, Stream::Stderr).is_empty());
    assert!(matches!(process.exited().await, Exit::Code(126 | 127)));
}

#[tokio::test]
async fn a_privileged_caller_can_run_as_another_user() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let script = Script::new("id -u; id -g; id -G");
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(script.dir.path(), open).unwrap();
    let mut spec = script.spec();
    spec.user = Some(RunAs { uid: 65_533, gid: 65_532 });
    let mut process = HeldProcess::spawn(&spec).unwrap().release().await.unwrap();
    let output = all_output(&mut process).await;
    assert_eq!(texts(&output, Stream::Stdout), ["65533", "65532", "65532"]);
}
