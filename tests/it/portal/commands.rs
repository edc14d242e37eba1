//! The commands, against a server and against the store file.

use std::{fs, time::Duration};

use eyrie_core::{
    deployment_type::service::SCRIPT_ACTION,
    model::{Plan, Role, StopPolicy},
    store::RetentionStore,
};
use eyrie_tests::{
    scripts::wait_until,
    world::{deployment, open},
};
use serde_json::json;

use super::{Client, Field, HELLO, Said, said};

pub(super) fn remote(field: &Field, client: &Client, arguments: &[&str]) -> Said {
    let mut command = field.command(arguments);
    command.env("EYRIE_SERVER", &client.url).env("EYRIE_TOKEN", &client.token);
    said(command, "")
}

fn run_of(said: &Said) -> String {
    let id = said.out.lines().find_map(|line| line.strip_prefix("run ")).unwrap_or_else(|| panic!("{said:?}"));
    id.to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deploy_follows_a_run_on_a_server() {
    let field = Field::new();
    field.write("hello", json!({ "steps": ["Greet"] }), HELLO);
    field.write(
        "bad",
        json!({ "steps": ["a", "b"] }),
        "echo '{\"name\": \"a\", \"state\": \"failure\", \"error_message\": \"no room\"}'\nexit 3",
    );
    let (server, ann) = field.serve().await;
    let good = remote(&field, &ann, &["deploy", "hello", "--follow", "--env", "A=b=c"]);
    good.has(0, &["Greet: succeeded", "hello", "run succeeded"]);
    let bad = remote(&field, &ann, &["deploy", "bad", "--follow"]);
    bad.has(1, &["a: failed", "no room", "b: skipped", "run failed", "exit code 3"]);
    assert_eq!(ann.get(&format!("runs/{}", run_of(&good))).await.1["context"]["env"], json!({ "A": "b=c" }));
    let keyed = |_| run_of(&remote(&field, &ann, &["deploy", "hello", "--idempotency-key", "k"]));
    let [first, second] = [(), ()].map(keyed);
    assert_eq!(first, second);
    remote(&field, &ann, &["deploy", "nonesuch", "--follow"]).has(2, &["eyrie: ", "404"]);
    remote(&field, &ann, &["deploy", "hello", "--env", "A"]).has(2, &["KEY=VALUE"]);
    let listed = remote(&field, &ann, &["runs"]);
    listed.has(0, &["  hello  ", "  bad  "]);
    listed.has(0, &[&run_of(&good), &run_of(&bad), "failed", "succeeded"]);
    assert_eq!(remote(&field, &ann, &["runs", "bad"]).out.lines().count(), 2);
    remote(&field, &ann, &["logs", &run_of(&good)]).well("a line\n");
    remote(&field, &ann, &["sync"]).well("unchanged  bad\nunchanged  hello\n");
    let made = remote(&field, &ann, &["token", "add", "hello", "--origin", "ci"]);
    made.has(0, &["eyv_"]);
    let ci = Client { token: made.out.trim().to_owned(), ..ann.clone() };
    remote(&field, &ci, &["deploy", "hello", "--follow"]).has(0, &["run succeeded"]);
    remote(&field, &ci, &["deploy", "bad", "--follow"]).has(2, &["404"]);
    let stranger = Client { token: "eyv_guessed".to_owned(), ..ann.clone() };
    remote(&field, &stranger, &["runs"]).has(2, &["401"]);
    let mut nobody = field.command(&["runs"]);
    said(
        {
            nobody.env("EYRIE_SERVER", &server.url);
            nobody
        },
        "",
    )
    .has(2, &["EYRIE_TOKEN"]);
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_reach_the_store_file_of_a_running_server() {
    let field = Field::new();
    field.write("hello", json!({}), HELLO);
    field.write("long", json!({}), "echo begun\nsleep 300");
    let (server, ann) = field.serve().await;
    field.write("added", json!({}), HELLO);
    field.write("broken", json!({ "timeout_seconds": 0 }), HELLO);
    let sync = field.eyrie(&["sync"]);
    sync.has(1, &["created    added", "unchanged  hello", "refused    broken", "timeout_seconds"]);
    field.eyrie_with(&["user", "add", "bob"], "too short\n").has(2, &["password"]);
    field.eyrie_with(&["user", "add", "bob"], "long enough it is\n").well("added bob\n");
    field.eyrie_with(&["user", "add", "bob"], "long enough it is\n").has(2, &["eyrie: "]);
    assert_eq!(ann.get("users").await.1["items"].as_array().unwrap().len(), 2);
    field.eyrie(&["deploy", "added", "--follow"]).has(0, &["Greet: succeeded", "run succeeded"]);

    let long = run_of(&field.eyrie(&["deploy", "long"]));
    wait_until(Duration::from_secs(30), "the script's first line", async || field.eyrie(&["logs", &long]).out == "begun\n").await;
    field.eyrie(&["runs", "long"]).has(0, &[&long, "running"]);
    let next = run_of(&field.eyrie(&["deploy", "long"]));
    let behind = format!("second, behind run {long}");
    field.eyrie(&["queue", "long"]).has(0, &[&long, "under way", &next, &behind]);
    field.eyrie(&["queue", "--run", &next]).well(&format!("{behind}\n"));
    assert_eq!(remote(&field, &ann, &["queue", "long"]).out, field.eyrie(&["queue", "long"]).out);
    remote(&field, &ann, &["queue", "--run", &next]).well(&format!("{behind}\n"));
    field.eyrie(&["queue"]).has(2, &["--run"]);
    field.eyrie(&["cancel", &next]).has(0, &["run cancelled"]);
    field.eyrie(&["queue", "--run", &next]).well("has ended\n");
    let cancel = field.eyrie(&["cancel", &long, "--reason", "enough"]);
    cancel.has(0, &["run cancelled", "enough"]);
    assert_eq!(ann.get(&format!("runs/{long}")).await.1["state"], "cancelled");
    field.eyrie(&["cancel", &long]).has(2, &["cancelled"]);
    field.eyrie(&["logs", "nonsense"]).has(2, &["eyrie: "]);
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_follows_late_hears_what_is_no_longer_kept() {
    let field = Field::new();
    field.write("hello", json!({}), HELLO);
    let (server, ann) = field.serve().await;
    let arguments = ["deploy", "hello", "--follow", "--idempotency-key", "k"];
    let deploy = || [remote(&field, &ann, &arguments), field.eyrie(&arguments)];
    let first = deploy();
    for said in &first {
        said.has(0, &["Greet: succeeded", "run succeeded"]);
        assert!(!said.out.contains("no longer kept"), "{said:?}");
    }
    let look = field.look().await;
    let hello = look.service_deployment(&"hello".parse().unwrap()).await.unwrap().id;
    assert_eq!(open(&field.file("eyrie.db")).await.trim_runs(hello, Duration::ZERO, 500).await.unwrap().runs, 2);
    for (said, first) in deploy().iter().zip(&first) {
        let run = run_of(said);
        assert_eq!(run, run_of(first), "the key is that of the run");
        let last = look.run(run.parse().unwrap()).await.unwrap().run.last_seq;
        let told = format!("what happened before event {last} is no longer kept");
        said.has(0, &[&told, "run succeeded"]);
        assert_eq!((said.out.matches("no longer kept").count(), said.out.contains("Greet")), (1, false), "{said:?}");
    }
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_are_resumed_run_again_approved_and_rejected() {
    let field = Field::new();
    field.write("flaky", json!({}), "[ -e mended ] || exit 3\necho well");
    let (server, ann) = field.serve().await;
    let at_server = |arguments: &[&str]| remote(&field, &ann, arguments);
    let at_store = |arguments: &[&str]| field.eyrie(arguments);
    let deploy = || run_of(&field.eyrie(&["deploy", "flaky"]));
    let [first, second] = [deploy(), deploy()];
    for run in [&first, &second] {
        ann.until(run, "failed").await;
    }
    at_server(&["approve", &first]).has(2, &["waits for no approval"]);
    fs::write(field.services().join("flaky/mended"), "").unwrap();
    at_server(&["resume", &first, "--reason", "mended", "--follow"]).has(0, &["mended", "run succeeded"]);
    at_store(&["resume", &second]).has(0, &[&second]);
    ann.until(&second, "succeeded").await;
    at_store(&["resume", &second]).has(2, &["succeeded"]);
    let again = at_server(&["rerun", &first, "--idempotency-key", "k", "--follow"]);
    again.has(0, &["run succeeded"]);
    assert_ne!(run_of(&again), first);
    assert_eq!(run_of(&at_server(&["rerun", &first, "--idempotency-key", "k"])), run_of(&again));

    let look = field.look().await;
    let site = deployment(&look, "site").await;
    let plan = || Plan::builder().approval("sign-off", Role::Admin, |step| step).approval("other", Role::Admin, |step| step).build();
    let approved = look.run_plan(site.id, plan().unwrap()).await.unwrap().id.to_string();
    ann.until(&approved, "waiting").await;
    at_server(&["approve", &approved]).has(2, &["sign-off, other", "name one"]);
    at_server(&["approve", &approved, "nonesuch"]).has(2, &["sign-off, other", "name one"]);
    at_server(&["approve", &approved, "sign-off"]).has(0, &[&approved]);
    ann.until(&approved, "waiting").await;
    at_store(&["approve", &approved, "--reason", "fine"]).has(0, &[&approved]);
    ann.until(&approved, "succeeded").await;
    let rejected = look.run_plan(site.id, plan().unwrap()).await.unwrap().id.to_string();
    ann.until(&rejected, "waiting").await;
    at_server(&["reject", &rejected, "other", "--reason", "not today", "--follow"]).has(1, &["run failed", "not today"]);
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_failed_step_is_retried() {
    let field = Field::new();
    field.write("flaky", json!({}), "[ -e mended ] || exit 3\necho well");
    let (server, ann) = field.serve().await;
    let at_server = |arguments: &[&str]| remote(&field, &ann, arguments);
    let at_store = |arguments: &[&str]| field.eyrie(arguments);
    let deploy = || run_of(&field.eyrie(&["deploy", "flaky"]));
    let [first, second] = [deploy(), deploy()];
    let mut step = String::new();
    for run in [&first, &second] {
        let view = ann.until(run, "failed").await;
        step = view["steps"][0]["name"].as_str().unwrap().to_owned();
    }
    fs::write(field.services().join("flaky/mended"), "").unwrap();
    at_server(&["retry-step", &first, "nonesuch"]).has(2, &[&step, "name one"]);
    at_server(&["retry-step", &first, &step, "--reason", "mended", "--follow"]).has(0, &["retried", "mended", "run succeeded"]);
    at_server(&["retry-step", &first, &step]).has(2, &["has no step that is failed"]);
    at_server(&["skip-undo", &first, &step]).has(2, &["has no step that is undo_failed"]);
    at_store(&["retry-step", &second, "--follow"]).has(0, &["run succeeded"]);
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_undo_is_retried_and_skipped() {
    let field = Field::new();
    field.write("hello", json!({}), HELLO);
    let (server, ann) = field.serve().await;
    let at_server = |arguments: &[&str]| remote(&field, &ann, arguments);
    let at_store = |arguments: &[&str]| field.eyrie(arguments);
    let look = field.look().await;
    let site = deployment(&look, "site").await;
    // Scripts have no undo, so that those of both fail.
    let script = json!({ "service": "hello", "script": "deploy.sh", "config": {}, "expected": [] });
    let plan = Plan::builder()
        .step("build", SCRIPT_ACTION, |step| step.parameters(script.clone()).undo())
        .step("ship", SCRIPT_ACTION, |step| step.parameters(script.clone()).undo())
        .approval("sign-off", Role::Developer, |step| step.needs(["build", "ship"]))
        .on_failure(StopPolicy::Undo)
        .build()
        .unwrap();
    let run = look.run_plan(site.id, plan).await.unwrap().id.to_string();
    ann.until(&run, "waiting").await;
    at_store(&["retry-undo", &run]).has(2, &["waiting"]);
    at_store(&["reject", &run]).has(0, &[&run]);
    ann.until(&run, "undo_failed").await;
    at_server(&["retry-undo", &run, "--reason", "once more", "--follow"]).has(1, &["once more", "run undo_failed"]);
    at_store(&["retry-undo", &run, "--follow"]).has(1, &["run undo_failed"]);
    at_server(&["skip-undo", &run]).has(2, &["build, ship", "name one"]);
    at_server(&["skip-undo", &run, "sign-off"]).has(2, &["build, ship", "name one"]);
    at_server(&["skip-undo", &run, "build", "--reason", "by hand", "--follow"]).has(1, &["build: undone", "by hand", "run undo_failed"]);
    at_store(&["skip-undo", &run, "--follow"]).has(0, &["ship: undone", "run undone"]);
    server.stop();
}
