//! Ending groups found by their recorded identity.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::super::procfs::members;
use super::super::{Exit, Orphan, OrphanError, ProcessIdentity, end_orphan};
use super::{HANG, Script, eventually, group_is_gone, read_pid, until_line};

/// A group in a session of its own whose parent has died.
async fn orphan(script: &Script) -> ProcessIdentity {
    let status = Command::new("/bin/sh")
        .args(["-c", "setsid \"$0\" body & echo $! > pid.new && mv pid.new pid"])
        .arg(&script.program)
        .current_dir(script.dir.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let pid = read_pid(&script.path("pid")).unwrap();
    // Written by the script, so it leads its group by then.
    eventually(|| script.path("ready").exists()).await;
    ProcessIdentity::of(pid).unwrap()
}

#[tokio::test]
async fn an_orphan_is_ended_with_its_group() {
    let script = Script::new("sleep 600 &\necho > ready\nwait");
    let identity = orphan(&script).await;
    assert_eq!(members(&identity).unwrap().len(), 2);
    assert_eq!(end_orphan(&identity, HANG * 2).await.unwrap(), Orphan::Killed);
    assert!(group_is_gone(&identity));
    assert_eq!(end_orphan(&identity, HANG).await.unwrap(), Orphan::Gone);
}

#[tokio::test]
async fn an_orphan_that_ignores_term_is_killed() {
    let script = Script::new("trap '' TERM\nsleep 600 &\necho > ready\nwhile :; do sleep 600; done");
    let identity = orphan(&script).await;
    let outcome = end_orphan(&identity, Duration::from_millis(50)).await.unwrap();
    assert_eq!(outcome, Orphan::Killed);
    assert!(group_is_gone(&identity));
}

#[tokio::test]
async fn an_orphaned_group_without_its_leader_is_ended() {
    let script = Script::new("sleep 600 &\necho > ready\nwhile ! [ -e go ]; do sleep 0.01; done");
    let identity = orphan(&script).await;
    std::fs::write(script.path("go"), "").unwrap();
    eventually(|| members(&identity).unwrap().iter().all(|member| member.pid != identity.pid)).await;
    assert_eq!(members(&identity).unwrap().len(), 1);
    assert_eq!(end_orphan(&identity, HANG * 2).await.unwrap(), Orphan::Killed);
    assert!(group_is_gone(&identity));
}

#[tokio::test]
async fn a_process_that_is_not_the_recorded_one_is_left_alone() {
    let script = Script::new("sleep 600 &\necho ready\nwait");
    let mut process = script.start().await;
    until_line(&mut process, "ready").await;
    let identity = process.identity().clone();
    let changed = |change: &dyn Fn(&mut ProcessIdentity)| {
        let mut other = identity.clone();
        change(&mut other);
        other
    };
    for other in [changed(&|other| other.start_ticks += 1), changed(&|other| other.start_ticks -= 1), changed(&|other| other.session += 1)]
    {
        assert_eq!(end_orphan(&other, HANG).await.unwrap(), Orphan::Gone);
    }
    let other = changed(&|other| other.boot_id = "another".to_owned());
    assert_eq!(end_orphan(&other, HANG).await.unwrap(), Orphan::OtherBoot);
    for pid in [-1, 0, 1] {
        let other = changed(&|other| other.pid = pid);
        let error = end_orphan(&other, HANG).await.unwrap_err();
        assert!(matches!(error, OrphanError::InvalidPid { .. }));
    }
    assert_eq!(process.try_exit(), None);
    assert_eq!(members(&identity).unwrap().len(), 2);
    process.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_takeover_ends_a_process_its_parent_still_holds() {
    let script = Script::new("echo ready\nwhile :; do sleep 600; done");
    let mut process = script.start().await;
    until_line(&mut process, "ready").await;
    // Stays a zombie meanwhile, which counts as gone.
    let outcome = end_orphan(process.identity(), HANG * 2).await.unwrap();
    assert_eq!(outcome, Orphan::Killed);
    assert_eq!(process.exited().await, Exit::Signal(15));
}
