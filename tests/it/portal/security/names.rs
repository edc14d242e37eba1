//! Names that would be something else to whoever reads them next: a shell, a template, a cluster, a person.

use std::collections::BTreeSet;

use eyrie_tests::world::Kind;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Town, whole};
use crate::engine::on_databases;

on_databases! {
    hostile_names_are_refused_by_the_fields_name;
    a_namespace_is_never_used_again;
}

const HOSTILE: [&str; 12] = ["a\nb", "{{x}}", "$(id)", "`id`", "a;b", "&a", "*a", "-rf", "../a", "\u{430}bc", "a\u{200b}b", ""];

async fn hostile_names_are_refused_by_the_fields_name(kind: Kind) {
    let town = Town::new(kind).await;
    let own = |kind: &str| town.first.0[kind][0].as_str();
    let before = town.everything().await;
    let places: [(String, Value, &str); 7] = [
        ("projects".to_owned(), json!({}), "slug"),
        (format!("projects/{}/groups", own("projects")), json!({ "group_type": "service" }), "slug"),
        (format!("projects/{}/groups", own("projects")), json!({ "slug": "x" }), "group_type"),
        (format!("groups/{}/scopes", own("groups")), json!({}), "slug"),
        (format!("groups/{}/deployments", own("groups")), json!({}), "slug"),
        (format!("deployments/{}/schedules", own("deployments")), json!({ "cron": "@daily" }), "slug"),
        ("users".to_owned(), json!({ "password": "long enough it is" }), "name"),
    ];
    let long = "a".repeat(300);
    for (path, rest, field) in &places {
        for text in HOSTILE.iter().copied().chain([long.as_str()]) {
            let mut body = rest.clone();
            body[field] = text.into();
            let (status, _, told) = whole(town.ann.send(Method::POST, path, &[], Some(&body)).await).await;
            let told: Value = serde_json::from_str(&told).unwrap();
            assert_eq!((status, &told["field"]), (422, &json!(field)), "{path} {text:?}: {told}");
        }
        for wrong in [json!(null), json!(7), json!(["a"]), json!({ "a": 1 })] {
            let mut body = rest.clone();
            body[field] = wrong.clone();
            let (status, _, told) = whole(town.ann.send(Method::POST, path, &[], Some(&body)).await).await;
            assert!(status == 422 && told.contains(field), "{path} {wrong}: {status} {told}");
        }
    }
    assert_eq!(town.everything().await, before, "nothing changed");
    town.server.stop();
}

async fn a_namespace_is_never_used_again(kind: Kind) {
    let town = Town::new(kind).await;
    let mut seen = BTreeSet::new();
    // Deleted and made again, and two that are the same when they are cut.
    let (long, longer) = (format!("{}1", "a".repeat(62)), format!("{}2", "a".repeat(62)));
    for slug in ["again", "again", "again", &long, &longer] {
        let (status, project) = town.ann.post("projects", &[], &json!({ "slug": slug })).await;
        assert_eq!(status, 201, "{project}");
        let name = project["namespace"]["name"].as_str().unwrap().to_owned();
        assert!(name.len() <= 63 && name.ends_with(project["namespace"]["uid"].as_str().unwrap()), "{name}");
        assert!(seen.insert(name), "{project}");
        let place = format!("projects/{}", project["id"].as_str().unwrap());
        assert_eq!(town.ann.send(Method::DELETE, &place, &[], None).await.status(), 204);
    }
    town.server.stop();
}
