//! What somebody decides about a run over HTTP: approved, rejected, resumed, tried again, undone after all.

use std::fs;

use eyrie_core::{
    deployment_type::service::SCRIPT_ACTION,
    model::{Plan, Role, StopPolicy},
};
use eyrie_tests::world::deployment;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Client, Field, HELLO, PASSWORD};

/// Starts a run of that plan beside the server; answers with its id and its project's.
async fn start(field: &Field, plan: Plan) -> (String, String) {
    let look = field.look().await;
    let deployment = deployment(&look, "site").await;
    let run = look.run_plan(deployment.id, plan).await.unwrap();
    (run.id.to_string(), deployment.project_id.to_string())
}

/// An account with that role in the project, or without one.
async fn account(ann: &Client, name: &str, role: Option<&str>, project: &str) -> Client {
    let (status, user) = ann.post("users", &[], &json!({ "name": name, "password": PASSWORD })).await;
    assert_eq!(status, 201, "{user}");
    if let Some(role) = role {
        let place = format!("projects/{project}/members/{}", user["id"].as_str().unwrap());
        let set = ann.send(Method::PUT, &place, &[], Some(&json!({ "role": role }))).await;
        assert!(set.status().is_success(), "{set:?}");
    }
    Client::sign_in(&ann.url, name).await
}

/// The status of a decision with a reason, and the problem or the run.
async fn decide(who: &Client, run: &str, decision: &str) -> (u16, Value) {
    let (status, answer) = who.post(&format!("runs/{run}/{decision}"), &[], &json!({ "reason": "because" })).await;
    (status.as_u16(), answer)
}

fn sign_off() -> Plan {
    let plan = Plan::builder().approval("sign-off", Role::Admin, |step| step);
    plan.approval("second look", Role::Developer, |step| step.needs(["sign-off"])).build().unwrap()
}

#[tokio::test]
async fn an_approval_needs_the_role_that_the_plan_names() {
    let field = Field::new();
    let (server, ann) = field.serve().await;
    let (run, project) = start(&field, sign_off()).await;
    let view = ann.until(&run, "waiting").await;
    assert!(view["message"].as_str().unwrap().contains("\"sign-off\" waits for the approval"), "{view}");
    let approvals = format!("runs/{run}/approvals");
    assert_eq!(ann.get(&approvals).await.1["items"], json!([{ "step": 0, "name": "sign-off", "role": "admin" }]));
    let outsider = account(&ann, "oda", None, &project).await;
    let user = account(&ann, "uma", Some("user"), &project).await;
    let developer = account(&ann, "dora", Some("developer"), &project).await;
    for answer in ["approve", "reject"] {
        let decision = format!("steps/0/{answer}");
        let (status, hidden) = decide(&outsider, &run, &decision).await;
        assert_eq!((status, &hidden), (404, &outsider.get("runs/x").await.1), "what may not be seen is not there");
        for who in [&user, &developer] {
            let (status, problem) = decide(who, &run, &decision).await;
            assert_eq!((status, &problem["type"]), (403, &json!("urn:eyrie:problem:denied")), "{problem}");
        }
        for (step, expected) in [("1", 409), ("9", 404), ("x", 404)] {
            assert_eq!(decide(&ann, &run, &format!("steps/{step}/{answer}")).await.0, expected, "{step}");
        }
    }
    assert_eq!(outsider.get(&approvals).await.0, 404);
    assert_eq!(user.get(&approvals).await.0, 200);
    let (status, answer) = decide(&ann, &run, "steps/0/approve").await;
    assert_eq!(status, 202, "{answer}");
    assert_eq!(answer["steps"][0]["state"], "succeeded");
    assert!(answer["steps"][0]["message"].as_str().unwrap().ends_with("because"), "{answer}");
    while developer.get(&approvals).await.1["items"] != json!([{ "step": 1, "name": "second look", "role": "developer" }]) {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(decide(&ann, &run, "steps/0/approve").await.0, 409, "it has been decided");
    // Without a body there is no reason.
    let approved = developer.send(Method::POST, &format!("runs/{run}/steps/1/approve"), &[], None).await;
    assert_eq!(approved.status(), 202);
    assert_eq!(ann.end_of(&run).await["state"], "succeeded");
    assert_eq!(ann.get(&approvals).await.1["items"], json!([]));
    server.stop();
}

#[tokio::test]
async fn a_rejection_fails_the_run() {
    let field = Field::new();
    let (server, ann) = field.serve().await;
    let (run, _) = start(&field, sign_off()).await;
    ann.until(&run, "waiting").await;
    let (status, problem) = ann.post(&format!("runs/{run}/steps/0/reject"), &[], &json!({ "why": "x" })).await;
    assert_eq!((status.as_u16(), &problem["field"]), (422, &json!("reason")), "{problem}");
    assert_eq!(decide(&ann, &run, "steps/0/reject").await.0, 202);
    let view = ann.end_of(&run).await;
    assert_eq!(
        (&view["state"], &view["steps"][0]["state"], &view["steps"][1]["state"]),
        (&json!("failed"), &json!("failed"), &json!("skipped"))
    );
    let message = view["message"].as_str().unwrap();
    assert!(message.starts_with("step \"sign-off\" failed: rejected by") && message.ends_with("because"), "{message}");
    server.stop();
}

#[tokio::test]
async fn a_failed_run_is_resumed_retried_and_run_again() {
    let field = Field::new();
    field.write("flaky", json!({}), "[ -e mended ] || exit 3\necho well");
    let (server, ann) = field.serve().await;
    let failed = async |run: &str| assert_eq!(ann.end_of(run).await["state"], "failed");
    let [resumed, retried] = [ann.deploy("flaky", json!({ "N": "1" })).await, ann.deploy("flaky", json!({})).await];
    failed(&resumed).await;
    failed(&retried).await;
    for decision in ["retry-undo", "steps/0/skip-undo", "steps/0/approve"] {
        let (status, problem) = decide(&ann, &resumed, decision).await;
        let expected = if decision.ends_with("approve") { (422, "invalid") } else { (409, "illegal-transition") };
        assert_eq!((status, &problem["type"]), (expected.0, &json!(format!("urn:eyrie:problem:{}", expected.1))), "{decision}: {problem}");
    }
    fs::write(field.services().join("flaky/mended"), "").unwrap();
    for (run, decision) in [(&resumed, "resume"), (&retried, "steps/0/retry")] {
        let (status, view) = decide(&ann, run, decision).await;
        assert_eq!(status, 202, "{decision}: {view}");
        let view = ann.until(run, "succeeded").await;
        assert_eq!(view["steps"][0]["attempt"], 2);
        let (status, problem) = decide(&ann, run, decision).await;
        assert_eq!((status, &problem["type"]), (409, &json!("urn:eyrie:problem:illegal-transition")), "{problem}");
    }
    let again = format!("runs/{resumed}/rerun");
    let rerun = async || ann.send(Method::POST, &again, &[("idempotency-key", "again")], None).await;
    let first = rerun().await;
    assert_eq!(first.status(), 202);
    let place = first.headers()["location"].to_str().unwrap().to_owned();
    let new: Value = first.json().await.unwrap();
    let id = new["id"].as_str().unwrap();
    assert_eq!(place, format!("/api/v1/runs/{id}"));
    assert!(id != resumed && new["context"]["env"] == json!({ "N": "1" }), "{new}");
    assert_eq!(rerun().await.json::<Value>().await.unwrap()["id"], id, "the same key starts nothing twice");
    assert_eq!(ann.until(id, "succeeded").await["steps"][0]["attempt"], 1);
    let empty = ann.send(Method::POST, &again, &[("idempotency-key", "")], None).await;
    assert_eq!((empty.status().as_u16(), empty.json::<Value>().await.unwrap()["field"].clone()), (422, json!("Idempotency-Key")));
    let project = new["project_id"].as_str().unwrap();
    let user = account(&ann, "uma", Some("user"), project).await;
    for decision in ["rerun", "resume", "retry-undo", "steps/0/retry", "steps/0/skip-undo"] {
        assert_eq!(decide(&user, &resumed, decision).await.0, 403, "{decision}");
    }
    server.stop();
}

#[tokio::test]
async fn an_undo_that_failed_is_retried_or_skipped() {
    let field = Field::new();
    field.write("hello", json!({}), HELLO);
    let (server, ann) = field.serve().await;
    let script = json!({ "service": "hello", "script": "deploy.sh", "config": {}, "expected": [] });
    // A script has no undo, so that it fails.
    let plan = Plan::builder()
        .step("ship", SCRIPT_ACTION, |step| step.parameters(script).undo())
        .approval("sign-off", Role::Developer, |step| step.needs(["ship"]))
        .on_failure(StopPolicy::Undo)
        .build()
        .unwrap();
    let (run, _) = start(&field, plan).await;
    ann.until(&run, "waiting").await;
    assert_eq!(decide(&ann, &run, "retry-undo").await.0, 409);
    assert_eq!(decide(&ann, &run, "steps/1/reject").await.0, 202);
    let view = ann.until(&run, "undo_failed").await;
    assert_eq!((&view["steps"][0]["state"], &view["steps"][0]["attempt"]), (&json!("undo_failed"), &json!(2)), "{view}");
    assert_eq!(decide(&ann, &run, "resume").await.0, 409);
    assert_eq!(decide(&ann, &run, "steps/1/skip-undo").await.0, 409, "it was never done");
    assert_eq!(decide(&ann, &run, "retry-undo").await.0, 202);
    let view = ann.until(&run, "undo_failed").await;
    assert_eq!(view["steps"][0]["attempt"], 3);
    assert_eq!(decide(&ann, &run, "steps/0/skip-undo").await.0, 202);
    let view = ann.until(&run, "undone").await;
    assert_eq!(view["steps"][0]["state"], "undone");
    assert!(view["steps"][0]["message"].as_str().unwrap().ends_with("because"), "{view}");
    server.stop();
}
