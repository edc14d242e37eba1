//! Every role with every override at every level, asked for over REST and Server-Sent Events: the answers are those of the library's
//! own table.

use std::collections::BTreeMap;

use eyrie_tests::world::Kind;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Client, Town};
use crate::engine::on_databases;

on_databases! {
    every_role_with_every_override;
    the_command_is_no_way_round;
}

const TABLE: &str = include_str!("../../../../eyrie-core/src/access/decisions.txt");
const OVERRIDES: [&str; 5] = ["absent", "none", "user", "developer", "admin"];

/// What the table says of somebody at a level, as the status that a permission is answered with: 200 allowed, 403 refused, 404 missing.
fn table() -> BTreeMap<(String, String), BTreeMap<String, u16>> {
    let mut told = BTreeMap::new();
    let (mut level, mut answers) = (String::new(), BTreeMap::new());
    for line in TABLE.lines() {
        if let Some(head) = line.strip_prefix("== ") {
            level = head.split(':').next().unwrap().to_owned();
            answers = BTreeMap::new();
        } else if let Some(who) = line.strip_prefix("  ") {
            told.insert((level.clone(), who.to_owned()), answers.clone());
        } else if let Some((verdict, permissions)) = line.split_once(": ") {
            let status = match verdict {
                "allowed" => 200,
                "refused" => 403,
                "missing" => 404,
                _ => continue,
            };
            answers.extend(permissions.split(' ').map(|permission| (permission.to_owned(), status)));
        }
    }
    told
}

/// What asks for a permission at a level and changes nothing, also where it is allowed: a conflict comes after the check of rights.
fn requests(town: &Town, ann: &str) -> Vec<(&'static str, &'static str, Method, String, Option<Value>)> {
    let id = |kind: &str| town.first.0[kind][0].as_str();
    let [project, group, deployment, run] = ["projects", "groups", "deployments", "runs"].map(id);
    let explain = format!("explain?permission=project.read&user={ann}");
    vec![
        ("project", "project.read", Method::GET, format!("projects/{project}"), None),
        ("project", "access.explain", Method::GET, format!("projects/{project}/{explain}"), None),
        ("project", "audit.read", Method::GET, format!("audit?project={project}&limit=1"), None),
        ("project", "audit.read", Method::GET, format!("audit/export?project={project}&action=nothing"), None),
        ("project", "token.read", Method::GET, format!("tokens?project={project}"), None),
        ("project", "secret.read", Method::GET, format!("projects/{project}/secrets"), None),
        (
            "project",
            "group.create",
            Method::POST,
            format!("projects/{project}/groups"),
            Some(json!({ "slug": "web", "group_type": "service" })),
        ),
        (
            "project",
            "branch.record",
            Method::POST,
            format!("branches/{}/commit", id("branches")),
            Some(json!({ "commit": "1".repeat(40) })),
        ),
        ("group", "project.read", Method::GET, format!("groups/{group}"), None),
        ("group", "access.explain", Method::GET, format!("groups/{group}/{explain}"), None),
        ("group", "deployment.create", Method::POST, format!("groups/{group}/deployments"), Some(json!({ "slug": "site" }))),
        ("group", "scope.create", Method::POST, format!("groups/{group}/scopes"), Some(json!({ "slug": "production" }))),
        ("deployment", "project.read", Method::GET, format!("deployments/{deployment}"), None),
        ("deployment", "project.read", Method::GET, format!("runs/{run}"), None),
        ("deployment", "project.read", Method::GET, format!("runs/{run}/log"), None),
        ("deployment", "project.read", Method::GET, format!("runs/{run}/events"), None),
        ("deployment", "access.explain", Method::GET, format!("deployments/{deployment}/{explain}"), None),
        ("deployment", "run.cancel", Method::POST, format!("runs/{run}/cancel"), Some(json!({ "reason": "late" }))),
        (
            "deployment",
            "schedule.create",
            Method::POST,
            format!("deployments/{deployment}/schedules"),
            Some(json!({ "slug": "nightly", "cron": "@daily" })),
        ),
    ]
}

async fn every_role_with_every_override(kind: Kind) {
    let town = Town::new(kind).await;
    let (carol, carol_ids) = super::account(&town.field, &town.ann, "carol", false).await;
    let ann = town.ann.get("tokens?kind=session").await.1["items"][0]["created_by"].as_str().unwrap().to_owned();
    let commit = format!("branches/{}/commit", town.first.0["branches"][0]);
    assert_eq!(town.ann.post(&commit, &[], &json!({ "commit": "1".repeat(40) })).await.0, 200);
    let (table, requests) = (table(), requests(&town, &ann));
    let before = town.everything().await;
    let place = |kind: &str| format!("{kind}/{}/members/{}", town.first.0[kind][0], carol_ids[0]);
    let set = async |place: &str, role: &str| {
        let (method, body) = if role == "absent" { (Method::DELETE, json!({})) } else { (Method::PUT, json!({ "role": role })) };
        let status = town.ann.send(method, place, &[], Some(&body)).await.status();
        assert!(status.is_success() || (role == "absent" && status == 404), "{place} {role}: {status}");
    };
    let mut asked = 0;
    let mut ask = async |client: &Client, who: [String; 3]| {
        for (level, permission, method, path, body) in &requests {
            let name = match *level {
                "project" => &who[0],
                "group" => &who[1],
                _ => &who[2],
            };
            let expected = table[&((*level).to_owned(), name.clone())][*permission];
            let status = client.send(method.clone(), path, &[], body.as_ref()).await.status().as_u16();
            let answered = if matches!(status, 200 | 201 | 204 | 409) { 200 } else { status };
            assert_eq!(answered, expected, "{who:?}: {permission} by {method} {path} is answered {status}");
            asked += 1;
        }
    };
    let outside = ["no role", "no role, group absent", "no role, group absent, deployment absent"].map(str::to_owned);
    ask(&carol, outside.clone()).await;
    ask(&town.bob, outside).await;
    for role in ["user", "developer", "admin"] {
        set(&place("projects"), role).await;
        for group in OVERRIDES {
            set(&place("groups"), group).await;
            for deployment in OVERRIDES {
                set(&place("deployments"), deployment).await;
                let with_group = format!("{role}, group {group}");
                ask(&carol, [role.to_owned(), with_group.clone(), format!("{with_group}, deployment {deployment}")]).await;
            }
        }
    }
    let operator = ["operator, no role", "operator, no role, group absent", "operator, no role, group absent, deployment absent"];
    ask(&town.ann, operator.map(str::to_owned)).await;
    assert!(asked > 19 * 75, "{asked}");
    set(&place("projects"), "absent").await;
    assert_eq!(town.everything().await, before, "asking changed something");
    town.server.stop();
}

async fn the_command_is_no_way_round(kind: Kind) {
    let town = Town::new(kind).await;
    let (carol, carol_ids) = super::account(&town.field, &town.ann, "carol", false).await;
    let project = town.first.0["projects"][0].as_str();
    super::member(&town.ann, project, &carol_ids[0], "user").await;
    let before = town.everything().await;
    let [run, deployment, token] = [&town.first.0["runs"][0], &town.first.0["deployments"][0], &carol_ids[1]];
    for (arguments, allowed) in [
        (vec!["audit", "list", "--project", project], false),
        (vec!["audit", "export"], false),
        (vec!["audit", "export", "--project", project], false),
        (vec!["token", "list", "--project", project], false),
        (vec!["token", "list"], true),
        (vec!["token", "add", "first", "--origin", "x"], false),
        (vec!["token", "rotate", token], false),
        (vec!["member", "set", &carol_ids[0], "admin", "--project", project], false),
        (vec!["member", "set", &carol_ids[0], "admin", "--deployment", deployment], false),
        (vec!["member", "remove", &town.alice_ids[0], "--project", project], false),
        (vec!["member", "list", "--project", project], true),
        (vec!["explain", "run.start", "--user", &town.alice_ids[0], "--deployment", deployment], false),
        (vec!["cancel", run], false),
        (vec!["resume", run], false),
        (vec!["rerun", run], false),
        (vec!["sync"], false),
        (vec!["deploy", "second"], false),
        (vec!["logs", &town.second.0["runs"][0]], false),
        (vec!["logs", run], true),
    ] {
        let mut command = town.field.command(&[&["--server", &town.server.url], arguments.as_slice()].concat());
        command.env("EYRIE_TOKEN", &carol.token);
        let said = super::super::said(command, "");
        assert_eq!(said.code == 0, allowed, "{arguments:?}: {said:?}");
        assert!(allowed || said.err.contains("the server answered 40"), "{arguments:?}: {said:?}");
    }
    assert_eq!(town.everything().await, before, "nothing changed");
    town.server.stop();
}
