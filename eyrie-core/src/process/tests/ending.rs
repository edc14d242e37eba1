//! How processes end, by themselves and otherwise.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::time::timeout;

use super::super::procfs::Stat;
use super::super::{Exit, Stream};
use super::{HANG, Script, all_output, eventually, group_is_gone, is_reaped, read_pid, run, texts, until_line};

#[tokio::test]
async fn exits_are_told_apart() {
    assert_eq!(run("exit 0").await.1, Exit::Code(0));
    assert_eq!(run("exit 3").await.1, Exit::Code(3));
    assert_eq!(run("kill -TERM $$").await.1, Exit::Signal(15));
    assert_eq!(Exit::Signal(9).to_string(), "killed by signal 9 (SIGKILL)");
    assert_eq!(Exit::Code(3).to_string(), "exit code 3");
}

#[tokio::test]
async fn stop_lets_a_process_handle_term() {
    let script = Script::new("trap 'echo bye; exit 7' TERM\necho ready\nwhile :; do sleep 0.01; done");
    let mut process = script.start().await;
    until_line(&mut process, "ready").await;
    assert_eq!(timeout(HANG, process.stop(HANG * 2)).await.unwrap(), Exit::Code(7));
    let rest = all_output(&mut process).await;
    assert!(texts(&rest, Stream::Stdout).contains(&"bye"));
    assert_eq!(process.stop(Duration::ZERO).await, Exit::Code(7));
}

#[tokio::test]
async fn stop_kills_a_group_that_ignores_term() {
    let script = Script::new("trap '' TERM\nsleep 600 &\necho ready\nwhile :; do sleep 600; done");
    let mut process = script.start().await;
    let identity = process.identity().clone();
    until_line(&mut process, "ready").await;
    let exit = timeout(HANG, process.stop(Duration::from_millis(50))).await.unwrap();
    assert_eq!(exit, Exit::Signal(9));
    assert!(group_is_gone(&identity));
    assert!(is_reaped(&identity));
}

#[tokio::test]
async fn the_grace_is_the_whole_groups() {
    // The main process dies of TERM at once; its child takes its time.
    let script = Script::new("(trap 'sleep 0.3; echo cleaned > cleaned; exit' TERM; echo ready; while :; do sleep 0.01; done) &\nwait");
    let mut process = script.start().await;
    until_line(&mut process, "ready").await;
    let exit = timeout(HANG, process.stop(HANG * 2)).await.unwrap();
    assert_eq!(exit, Exit::Signal(15));
    assert!(script.path("cleaned").exists());
}

#[tokio::test]
async fn stop_drains_a_process_blocked_on_output() {
    // It writes 4 MB before it ends, far more than pipe and backlog hold.
    let script = Script::new(
        "trap 'head -c 4000000 /dev/zero | tr \"\\0\" \"x\" | fold -w 100; echo > wrote; exit 7' TERM\n\
         echo ready\nwhile :; do sleep 0.01; done",
    );
    let mut process = script.start().await;
    until_line(&mut process, "ready").await;
    assert_eq!(timeout(HANG, process.stop(HANG * 2)).await.unwrap(), Exit::Code(7));
    assert!(script.path("wrote").exists());
    assert!(process.dropped_output() > 0);
    let kept: usize = all_output(&mut process).await.iter().map(|line| line.text.len()).sum();
    assert!(kept > 100_000 && kept < 1_000_000, "{kept}");
}

#[tokio::test]
async fn exited_alone_does_not_hang_on_output() {
    let script = Script::new("head -c 4000000 /dev/zero; exit 5");
    let mut process = script.start().await;
    assert_eq!(timeout(HANG, process.exited()).await.unwrap(), Exit::Code(5));
    assert!(process.dropped_output() > 0);
}

#[tokio::test]
async fn what_the_main_process_leaves_behind_is_killed() {
    let script = Script::new("(trap '' TERM HUP; sleep 600) &\nsleep 600 &\necho $! > sleeper");
    let mut process = script.start().await;
    let identity = process.identity().clone();
    assert_eq!(all_output(&mut process).await, []);
    assert_eq!(process.exited().await, Exit::Code(0));
    assert!(group_is_gone(&identity));
    let sleeper = read_pid(&script.path("sleeper")).unwrap();
    assert!(Stat::read(sleeper).unwrap().is_none_or(|stat| stat.state == b'Z'));
}

#[tokio::test]
async fn dropping_a_running_process_kills_its_group() {
    let script = Script::new("trap '' TERM HUP\nsleep 600 &\necho ready\nwhile :; do sleep 600; done");
    let mut process = script.start().await;
    let identity = process.identity().clone();
    until_line(&mut process, "ready").await;
    drop(process);
    eventually(|| is_reaped(&identity) && group_is_gone(&identity)).await;
}

#[tokio::test]
async fn an_end_is_noticed_without_pidfds() {
    let script = Script::new("sleep 600 &\necho ready\nwhile ! [ -e go ]; do sleep 0.01; done; exit 9");
    let mut process = script.start().await;
    process.poll_for_exit();
    let identity = process.identity().clone();
    until_line(&mut process, "ready").await;
    std::fs::write(script.path("go"), "").unwrap();
    assert_eq!(all_output(&mut process).await, []);
    assert_eq!(process.exited().await, Exit::Code(9));
    assert!(group_is_gone(&identity));
}

#[tokio::test]
async fn a_stopped_group_still_ends() {
    let script = Script::new("trap 'exit 6' TERM\necho ready\nwhile :; do sleep 0.01; done");
    let mut process = script.start().await;
    until_line(&mut process, "ready").await;
    let group = Pid::from_raw(process.identity().pid).unwrap();
    kill_process_group(group, Signal::STOP).unwrap();
    assert_eq!(timeout(HANG, process.stop(HANG * 2)).await.unwrap(), Exit::Code(6));
}
