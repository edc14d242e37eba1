//! Processes that do not end, or end and leave something.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use eyrie_core::id::RunId;
use eyrie_tests::scripts::{lives, pids, wait_until};
use serde_json::json;

use super::{Site, outcome, reported};

/// Waits until the script has said `word` with `count` process ids, and answers with them.
async fn heard(site: &Site, run: RunId, word: &str, count: usize) -> Vec<u32> {
    wait_until(Duration::from_secs(30), "the script's processes", async || pids(&site.log(run).await, word).len() >= count).await;
    pids(&site.log(run).await, word)
}

async fn assert_gone(processes: &[u32]) {
    wait_until(Duration::from_secs(5), "the end of killed processes", async || !processes.iter().any(|pid| lives(*pid))).await;
}

const FAMILY: &str = r#"
echo "pid $$"
sleep 300 &
echo "pid $!"
sh -c 'echo "pid $$"; sleep 300; true' &
wait
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_out_ends_the_whole_group() {
    let site = Site::with(
        json!({ "timeout_seconds": 1, "steps": ["a", "b"] }),
        &format!("echo '{{\"name\":\"a\",\"state\":\"running\"}}'\n{FAMILY}"),
    )
    .await;
    let begun = Instant::now();
    let view = site.deploy("x").await;
    let took = begun.elapsed();
    assert!((Duration::from_secs(1)..Duration::from_secs(15)).contains(&took), "{took:?}");
    assert_eq!(outcome(&view), ("failed", "failed", "timed out after 1s"));
    assert_eq!(reported(&view), ["a: failed - the script ended during this step", "b: skipped"]);
    let processes = pids(&site.log(view.run.id).await, "pid");
    assert_eq!(processes.len(), 3);
    assert_gone(&processes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_ends_the_whole_group() {
    let site = Site::with(json!({ "steps": ["a", "b"] }), &format!("echo '{{\"name\":\"a\",\"state\":\"running\"}}'\n{FAMILY}")).await;
    let run = site.start("x").await;
    let processes = heard(&site, run, "pid", 3).await;
    assert!(processes.iter().all(|pid| lives(*pid)));
    site.world.me.cancel_run(run, "wrong branch").await.unwrap();
    let view = site.world.end_of(run).await;
    assert_eq!(outcome(&view), ("cancelled", "cancelled", "stopped; the script ended with killed by signal 15 (SIGTERM)"));
    assert!(view.run.message.ends_with("wrong branch"), "{}", view.run.message);
    assert_eq!(reported(&view), ["a: cancelled - cancelled", "b: skipped"]);
    assert_gone(&processes).await;
    site.assert_no_context_is_left();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_ignores_term_is_killed_after_the_grace() {
    let site = Site::with(json!({}), "trap '' TERM\necho \"pid $$\"\nwhile :; do sleep 0.05; done").await;
    let run = site.start("x").await;
    let processes = heard(&site, run, "pid", 1).await;
    let begun = Instant::now();
    site.world.me.cancel_run(run, "").await.unwrap();
    let view = site.world.end_of(run).await;
    assert!(begun.elapsed() >= Duration::from_millis(300), "it had its grace");
    assert_eq!(outcome(&view), ("cancelled", "cancelled", "stopped; the script ended with killed by signal 9 (SIGKILL)"));
    assert_gone(&processes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cleans_up_on_term_is_heard() {
    // Of a child that dies of the signal the shell says so on standard error, whose place in the log beside standard output is open.
    let script = "exec 2>/dev/null\ntrap 'echo bye; echo \"{\\\"name\\\":\\\"clean up\\\",\\\"state\\\":\\\"success\\\"}\"; exit 0' TERM\necho \"pid $$\"\nwhile :; do sleep 0.02; done";
    let site = Site::with(json!({}), script).await;
    let run = site.start("x").await;
    heard(&site, run, "pid", 1).await;
    site.world.me.cancel_run(run, "").await.unwrap();
    let view = site.world.end_of(run).await;
    assert_eq!(outcome(&view), ("cancelled", "cancelled", "stopped; the script ended with exit code 0"));
    assert_eq!(reported(&view), ["Unknown step: skipped", "clean up: succeeded"]);
    assert!(site.log(run).await.ends_with("bye\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn children_do_not_outlive_their_script() {
    let site = Site::with(json!({}), "sleep 300 &\necho \"pid $!\"\necho done").await;
    let begun = Instant::now();
    let view = site.deploy("x").await;
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!(outcome(&view), ("succeeded", "succeeded", ""));
    assert_gone(&pids(&site.log(view.run.id).await, "pid")).await;
}

/// A daemon that took a session of its own has left the script's control: it is neither waited for nor killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_is_let_go() {
    let site = Site::with(json!({}), "setsid sh -c 'echo \"pid $$\"; exec sleep 60' &\nsleep 0.3").await;
    let begun = Instant::now();
    let view = site.deploy("x").await;
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!(view.run.state.as_str(), "succeeded");
    let daemon = pids(&site.log(view.run.id).await, "pid");
    assert!(lives(daemon[0]));
    assert!(Command::new("kill").args(["-KILL", &daemon[0].to_string()]).status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_without_output_is_waited_for() {
    let site = Site::with(json!({}), "echo last words\nexec >&- 2>&-\nsleep 0.3\ntouch done\nexit 5").await;
    let view = site.deploy("x").await;
    assert_eq!(outcome(&view), ("failed", "failed", "the script ended with exit code 5"));
    assert!(site.file("x/done").exists());
    assert_eq!(site.log(view.run.id).await, "last words\n");
}
