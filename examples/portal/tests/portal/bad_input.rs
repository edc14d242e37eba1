//! What is wrong with a request is told by the field's name, and the store stays as it was.

use eyrie_core::{
    model::{NewDeployment, NewGroup, NewProject, Principal},
    store::{AuditFilter, PageRequest},
};
use serde_json::{Value, json};

use crate::site::{Answered, Site};

/// Somebody's place with a project, a group and a deployment in it.
struct Place {
    site: Site,
    ann: String,
    project: String,
    group: String,
    deployment: String,
}

impl Place {
    async fn new() -> Self {
        let (site, ann) = Site::with_ann().await;
        let me = site.eyrie.acting_as(Principal::local_operator());
        let project = me.create_project(NewProject::new("store").unwrap()).await.unwrap();
        let group = me.create_group(project.id, NewGroup::new("web", "own").unwrap()).await.unwrap();
        let deployment = me.create_deployment(group.id, NewDeployment::new("shop").unwrap()).await.unwrap();
        let [project, group, deployment] = [project.id.to_string(), group.id.to_string(), deployment.id.to_string()];
        Self { site, ann, project, group, deployment }
    }

    async fn send(&self, method: &str, path: &str, body: &str) -> Answered {
        let bearer = format!("Bearer {}", self.ann);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json"), ("if-match", "\"1\"")];
        self.site.ask(method, &format!("/api/v1/{path}"), &headers, body.to_owned()).await
    }

    /// How many entries the audit has of what was done: a change would add one.
    async fn changes(&self) -> usize {
        let me = self.site.eyrie.acting_as(Principal::local_operator());
        let allowed = AuditFilter { verdict: Some(eyrie_core::model::Verdict::Allowed), ..AuditFilter::default() };
        me.audit(allowed, PageRequest::first(PageRequest::MAX).unwrap()).await.unwrap().items.len()
    }
}

#[tokio::test]
async fn a_problem_names_the_field_and_nothing_changes() {
    let place = Place::new().await;
    let (group, deployment) = (format!("groups/{}", place.group), format!("deployments/{}", place.deployment));
    let deployments = format!("{group}/deployments");
    let token = |days: &str| format!(r#"{{"name": "t", "target": {{"project": "{}"}}, "origin": "o", "days": {days}}}"#, place.project);
    let cluster = place.send("POST", "clusters", r#"{"name": "shared"}"#).await.json()["id"].as_str().unwrap().to_owned();
    let before = place.changes().await;
    for (method, path, body, field) in [
        // Fields that nobody knows, here and further down.
        ("POST", "projects", r#"{"slug": "a", "colour": "red"}"#.to_owned(), "colour"),
        ("POST", "tokens", r#"{"name": "t", "target": {"moon": "x"}, "origin": "o", "days": 1}"#.to_owned(), "target"),
        // Wrong types, null where something must be, numbers as text.
        ("POST", "projects", r#"{"slug": 7}"#.to_owned(), "slug"),
        ("POST", "projects", r#"{"slug": null}"#.to_owned(), "slug"),
        ("POST", "projects", r#"{}"#.to_owned(), "slug"),
        ("POST", "tokens", token(r#""1""#), "days"),
        ("POST", "tokens", token("1.5"), "days"),
        ("POST", "tokens", token("-1"), "days"),
        ("POST", "tokens", token("99999999999"), "days"),
        ("PATCH", &deployment, r#"{"name": null}"#.to_owned(), "name"),
        ("PATCH", &group, r#"{"settings": []}"#.to_owned(), "settings"),
        // Keys that stand twice, also in what is only passed on.
        ("POST", "projects", r#"{"slug": "a", "slug": "b"}"#.to_owned(), "slug"),
        ("PATCH", &deployment, r#"{"settings": {"replicas": 1, "replicas": 2}}"#.to_owned(), "settings.replicas"),
        ("PATCH", &deployment, r#"{"settings": {"a": [{"b": 1, "b": 1}]}}"#.to_owned(), "settings.a.0.b"),
        // Letters that look like others, and what cannot be seen.
        ("POST", "projects", json!({ "slug": "st\u{43e}re" }).to_string(), "slug"),
        ("POST", "projects", json!({ "slug": "sto\u{200b}re" }).to_string(), "slug"),
        ("POST", "projects", json!({ "slug": "\u{ff53}tore" }).to_string(), "slug"),
        ("POST", "users", json!({ "name": "\u{430}nn" }).to_string(), "name"),
        ("PUT", &format!("clusters/{cluster}/limit"), r#"{"max_running": 2147483648}"#.to_owned(), "max_running"),
        // Ids of something else, and of nothing.
        ("POST", &deployments, json!({ "slug": "x", "scope_id": place.project }).to_string(), "scope_id"),
        ("POST", &deployments, json!({ "slug": "x", "service_id": place.group }).to_string(), "service_id"),
        ("POST", &deployments, json!({ "slug": "x", "branch_id": "1" }).to_string(), "branch_id"),
    ] {
        let answer = place.send(method, path, &body).await;
        assert_eq!(answer.status, 422, "{path} {body}: {}", answer.text);
        let named = answer.json()["field"].as_str().unwrap_or_default().to_owned();
        assert!(
            named == field
                || named.ends_with(&format!(".{field}"))
                || named.starts_with(&format!("{field}."))
                || (field == "name" && named == "user_name"),
            "{path} {body}: {}",
            answer.text
        );
    }
    for path in
        [format!("groups/{}", place.project), format!("deployments/{}", place.group), "runs/1".to_owned(), "projects/store".to_owned()]
    {
        assert_eq!(place.send("GET", &path, "").await.status, 404, "{path}");
    }
    assert_eq!(place.changes().await, before);
}

#[tokio::test]
async fn what_is_too_large_too_deep_or_no_json_is_refused() {
    let place = Place::new().await;
    let before = place.changes().await;
    let deployment = format!("deployments/{}", place.deployment);
    let nested = |depth: usize| format!(r#"{{"settings": {{"a": {}1{}}}}}"#, "[".repeat(depth), "]".repeat(depth));
    let wide = json!({ "settings": { "a": "x".repeat(900_000) } }).to_string();
    for (body, status) in [
        (json!({ "settings": { "a": "x".repeat(10 << 20) } }).to_string(), 413),
        (wide, 422),
        (nested(64), 422),
        (nested(10_000), 400),
        (r#"{"settings": {"a": 1}"#.to_owned(), 400),
        (r#"{"settings": {"a": 1}} {}"#.to_owned(), 400),
        (r#"{"settings": {"a": NaN}}"#.to_owned(), 400),
        ("\u{feff}{}".to_owned(), 400),
        (String::new(), 400),
    ] {
        let answer = place.send("PATCH", &deployment, &body).await;
        assert_eq!(answer.status, status, "{}: {}", &body[..body.len().min(60)], answer.text);
        assert!(answer.text.len() < 2000, "the answer repeats what was sent");
    }
    assert_eq!(place.changes().await, before);
    // A version that is not the present one, in each form that it could have.
    for (tag, status) in [("\"2\"", 412), ("\"0\"", 412), ("W/\"1\"", 412), ("*", 412), ("1", 412), ("", 412)] {
        let bearer = format!("Bearer {}", place.ann);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json"), ("if-match", tag)];
        let answer = place.site.ask("PATCH", &format!("/api/v1/{deployment}"), &headers, r#"{"name": "x"}"#).await;
        assert_eq!(answer.status, status, "{tag}: {}", answer.text);
    }
    assert_eq!(place.changes().await, before);
}

#[tokio::test]
async fn a_cursor_of_another_list_shows_nothing_of_it() {
    let place = Place::new().await;
    for n in 0..3 {
        let made = place.send("POST", "projects", &json!({ "slug": format!("p{n}") }).to_string()).await;
        assert_eq!(made.status, 201);
    }
    let audit = place.site.get(&place.ann, "/api/v1/audit?limit=1").await.json()["next"].as_str().unwrap().to_owned();
    let projects = place.site.get(&place.ann, "/api/v1/projects?limit=1").await.json();
    // Any id is a place in the order of making: what comes behind it is of the list that was asked for.
    let behind = place.site.get(&place.ann, &format!("/api/v1/projects?after={audit}")).await;
    assert_eq!(behind.status, 200);
    assert!(behind.json()["items"].as_array().unwrap().iter().all(|item| item["namespace"].is_object()), "{}", behind.text);
    let next = projects["next"].as_str().unwrap();
    let rest = place.site.get(&place.ann, &format!("/api/v1/projects?after={next}")).await.json();
    let all = place.site.get(&place.ann, "/api/v1/projects").await.json();
    assert_eq!(rest["items"].as_array().unwrap().as_slice(), &all["items"].as_array().unwrap()[1..]);
    for (list, cursor) in [("projects", "1.2"), ("runs", "nonsense"), ("audit", "0"), ("events", "nonsense")] {
        let refused = place.site.get(&place.ann, &format!("/api/v1/{list}?after={cursor}")).await;
        assert_eq!((refused.status.as_u16(), &refused.json()["field"]), (422, &Value::from("after")), "{list}");
    }
}
