//! Every route of the document against everybody: who is let through, who is refused, and for whom there is no such thing.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use axum::body::Body;
use eyrie_core::{
    Acting, Eyrie,
    access::TokenSecret,
    conformance::fixtures,
    deployment_type::service::{ScriptOptions, ServicesRoot},
    id::{CommandId, DeploymentId, UserId, WorkerId},
    memory::MemoryStore,
    model::{
        Grant, NewScope, OverrideAt, Plan, PlannedRelease, Principal, Role, StepIndex, Token, TokenBinding, TokenCapabilities, TokenKind,
    },
    name::{DisplayName, Origin, ServiceName},
    platform::{NewServiceToken, NewUser, ServiceTokenTarget, StartRun},
    secret::MemoryKeyring,
    store::{
        Change, Command, DeployedServiceFilter, DeploymentFilter, End, Fence, PageRequest, QueueOf, RunFilter, RunStore, Settle,
        Settlement, TokenFilter, TokenStore, WorkerStore,
    },
};
use eyrie_portal::{PortalOptions, router};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::site::Site;

/// Everybody that there is.
const SUBJECTS: [&str; 11] =
    ["outsider", "user", "developer", "admin", "operator", "owner", "disabled-owner", "group-none", "raised", "service-token", "run-token"];

/// A project with one thing of every kind, and everybody's token.
struct World {
    site: Site,
    me: Acting,
    ids: BTreeMap<&'static str, String>,
    tokens: BTreeMap<&'static str, String>,
}

impl World {
    async fn new() -> Self {
        let services = Path::new(env!("CARGO_MANIFEST_DIR")).join("../services");
        let store = Arc::new(MemoryStore::new());
        let builder = Eyrie::builder(store.clone()).without_worker();
        let builder = builder.services(ServicesRoot::open(services).unwrap(), ScriptOptions::default());
        let eyrie = builder.keyring(MemoryKeyring::generate().unwrap()).start().await.unwrap();
        let options = PortalOptions::default();
        let router = router(eyrie.clone(), options.clone());
        let site = Site { store, eyrie, options, router };
        let me = site.eyrie.acting_as(Principal::local_operator());
        me.sync_services().await.unwrap();
        let deployment = me.service_deployment(&ServiceName::new("housekeeping").unwrap()).await.unwrap();
        let (project, group) = (deployment.project_id, deployment.group_id);
        let mut world = Self { site, me, ids: BTreeMap::new(), tokens: BTreeMap::new() };

        let mut users = BTreeMap::new();
        for name in SUBJECTS.iter().filter(|name| !name.ends_with("-token") && **name != "disabled-owner") {
            users.insert(*name, world.user(name, *name == "operator").await);
        }
        for (name, role) in [
            ("user", Role::User),
            ("developer", Role::Developer),
            ("admin", Role::Admin),
            ("group-none", Role::Developer),
            ("raised", Role::User),
        ] {
            world.me.set_member(project, users[name], role).await.unwrap();
        }
        world.me.transfer_project(project, Some(users["owner"])).await.unwrap();
        // One to be looked at and taken away, which changes nothing about what the user may do.
        for at in [OverrideAt::Group(group), OverrideAt::Deployment(deployment.id)] {
            world.me.set_override(at, users["user"], Grant::User).await.unwrap();
        }
        for name in ["group-none", "raised"] {
            world.me.set_override(OverrideAt::Group(group), users[name], Grant::None).await.unwrap();
        }
        world.me.set_override(OverrideAt::Deployment(deployment.id), users["raised"], Grant::Developer).await.unwrap();
        let scope = world.me.create_scope(group, NewScope::new("production").unwrap()).await.unwrap();
        let new = json!({ "slug": "nightly", "cron": "@daily" });
        let schedule = world.me.create_schedule(deployment.id, serde_json::from_value(new).unwrap()).await.unwrap();
        let finished = world.released(deployment.id).await;
        let release = world.me.run(finished).await.unwrap().run.release_id.unwrap();
        let filter = DeployedServiceFilter { deployment: Some(deployment.id), ..DeployedServiceFilter::default() };
        let deployed = world.me.deployed_services(filter, PageRequest::default()).await.unwrap().items.remove(0);
        let plan = Plan::builder().approval("sign-off", Role::Developer, |step| step).build().unwrap();
        let run = world.me.run_plan(deployment.id, plan).await.unwrap();
        let new = NewServiceToken {
            name: DisplayName::new("ci").unwrap(),
            target: ServiceTokenTarget::Deployment(deployment.id),
            capabilities: TokenCapabilities::usual(),
            origin: Origin::new("ci").unwrap(),
            days: 1,
        };
        let (secret, token) = world.me.create_service_token(new).await.unwrap();
        world.tokens.insert("service-token", secret.reveal().to_owned());
        let secret = world.token(TokenKind::Run, TokenBinding::Run(run.id)).await;
        world.tokens.insert("run-token", secret);
        world.ids = BTreeMap::from([
            ("projects", project.to_string()),
            ("groups", group.to_string()),
            ("deployments", deployment.id.to_string()),
            ("scopes", scope.id.to_string()),
            ("services", deployment.service_id.unwrap().to_string()),
            ("schedules", schedule.id.to_string()),
            ("runs", run.id.to_string()),
            ("releases", release.to_string()),
            ("deployed-services", deployed.id.to_string()),
            ("tokens", token.id.to_string()),
            ("users", users["user"].to_string()),
        ]);
        world.make_sources_and_places().await;
        world
    }

    /// Makes something over REST, as the operator.
    async fn make(&mut self, kind: &'static str, place: String, body: Value) {
        let made = self.site.post(&self.tokens["operator"], &format!("/api/v1/{place}"), &body).await;
        assert!(made.status.is_success(), "{place}: {}", made.text);
        self.ids.insert(kind, made.json()["id"].as_str().unwrap().to_owned());
    }

    /// Where deployments come from and go to.
    async fn make_sources_and_places(&mut self) {
        let id = |world: &Self, kind: &str| world.ids[kind].clone();
        let (project, deployment) = (id(self, "projects"), id(self, "deployments"));
        let url = "https://git.example.org/shop.git";
        self.make("repositories", "repositories".to_owned(), json!({ "project_id": project, "slug": "shop", "url": url })).await;
        self.make("branches", format!("repositories/{}/branches", id(self, "repositories")), json!({ "name": "main" })).await;
        let image = json!({ "project_id": project, "reference": "registry.example.org/shop:main" });
        self.make("images", "images".to_owned(), image).await;
        self.make("monitors", format!("deployments/{deployment}/monitors"), monitor("up")).await;
        self.make("secrets", format!("projects/{project}/secrets"), json!({ "name": "password", "value": "swordfish" })).await;
        self.make("datasources", "datasources".to_owned(), datasource(&project, "backups")).await;
        self.make("clusters", "clusters".to_owned(), json!({ "name": "shared" })).await;
        let operator = self.tokens["operator"].clone();
        let cluster = id(self, "clusters");
        let places = [
            format!("/api/v1/clusters/{cluster}/grants/{project}"),
            format!("/api/v1/deployments/{deployment}/clusters/{cluster}"),
            format!("/api/v1/groups/{}/clusters/{cluster}", id(self, "groups")),
            format!("/api/v1/scopes/{}/clusters/{cluster}", id(self, "scopes")),
        ];
        for place in places {
            let put = self.site.put("PUT", &operator, &place, &[], &Value::Null).await;
            assert!(put.status.is_success(), "{place}: {}", put.text);
        }
    }

    async fn user(&mut self, name: &'static str, operator: bool) -> UserId {
        let user = self.me.create_user(NewUser { name: name.parse().unwrap(), password: None, operator }).await.unwrap();
        let (secret, _) = self.me.open_session(user.id, Duration::from_secs(3600)).await.unwrap();
        self.tokens.insert(name, secret.reveal().to_owned());
        user.id
    }

    async fn token(&self, kind: TokenKind, binding: TokenBinding) -> String {
        let secret = TokenSecret::generate(kind).unwrap();
        let token = Token { secret_hash: secret.hash(), ..fixtures::token(kind, binding, None) };
        self.site.store.create_token(&token, &fixtures::audit("token.create")).await.unwrap();
        secret.reveal().to_owned()
    }

    /// The same, with an owner whose account was disabled since; under another name.
    async fn with_disabled_owner() -> Self {
        let mut world = Self::new().await;
        let owner = world.me.user_by_name(&"owner".parse().unwrap()).await.unwrap();
        world.me.set_user_disabled(owner.id, true).await.unwrap();
        let token = world.tokens["owner"].clone();
        world.tokens.insert("disabled-owner", token);
        world
    }

    /// A run that has succeeded and left something running.
    async fn released(&self, deployment: DeploymentId) -> eyrie_core::id::RunId {
        let run = self.me.start_run(deployment, StartRun::default()).await.unwrap().id;
        let (store, worker) = (&self.site.store, WorkerId::new());
        store.register_worker(worker, Duration::from_secs(60)).await.unwrap();
        let claim = store.claim(worker, 1).await.unwrap().remove(0);
        let index = StepIndex::new(0);
        let settle = Settle { step: index, attempt: 1, how: Settlement::Succeeded { output: None }, message: String::new() };
        let release = PlannedRelease { config: json!({}), leaves_running: true };
        let command = Command {
            id: CommandId::new(),
            run_id: run,
            fence: Some(Fence { worker, epoch: claim.run.epoch }),
            change: Change::Advance {
                settle: vec![settle],
                skip: Vec::new(),
                start: Vec::new(),
                end: Some(End::Succeed { release: Some(release) }),
            },
            retried: false,
            audit: None,
        };
        store.record(&[command]).await.unwrap().remove(0).unwrap();
        run
    }

    /// The request of a route about what there is, without a token.
    fn request(&self, method: &str, route: &str) -> (String, Value) {
        let kind = route.trim_start_matches("/api/v1/").split('/').next().unwrap();
        let id = |kind: &str| self.ids[kind].clone();
        let mut path = route.replace("{step}", "0").replace("{user_id}", &id("users")).replace("{type}", "service");
        path = path.replace("{cluster_id}", &id("clusters")).replace("{project_id}", &id("projects"));
        if path.contains("{id}") {
            path = path.replace("{id}", &id(kind));
        }
        let query = match (method, route) {
            ("GET", "/api/v1/runs") => format!("?deployment={}", id("deployments")),
            ("GET", "/api/v1/deployed-services" | "/api/v1/releases") => format!("?deployment={}", id("deployments")),
            (
                "GET",
                "/api/v1/services"
                | "/api/v1/audit"
                | "/api/v1/audit/export"
                | "/api/v1/repositories"
                | "/api/v1/images"
                | "/api/v1/datasources"
                | "/api/v1/clusters",
            ) => format!("?project={}", id("projects")),
            ("GET", "/api/v1/releases/{id}/diff") => format!("?against={}", id("releases")),
            ("GET", route) if route.ends_with("/explain") => "?permission=project.read".to_owned(),
            _ => String::new(),
        };
        let body = match (method, route) {
            ("POST", "/api/v1/projects" | "/api/v1/groups/{id}/scopes") => json!({ "slug": "new" }),
            ("POST", "/api/v1/groups/{id}/deployments") => json!({ "slug": "new" }),
            ("POST", "/api/v1/projects/{id}/groups") => json!({ "slug": "new", "group_type": "own" }),
            ("POST", "/api/v1/deployments/{id}/schedules") => json!({ "slug": "new", "cron": "@daily" }),
            ("POST", "/api/v1/services") => {
                json!({ "project_id": id("projects"), "name": "new", "config": { "deploy_script": "housekeeping.py" } })
            }
            ("PUT", "/api/v1/services/{id}") => json!({ "config": { "deploy_script": "housekeeping.py" } }),
            ("POST", "/api/v1/tokens") => {
                json!({ "name": "new", "target": { "deployment": id("deployments") }, "origin": "ci", "days": 1 })
            }
            ("POST", "/api/v1/discovery/tokens") => {
                json!({ "name": "new", "target": { "project": id("projects") }, "origin": "proxy", "days": 1 })
            }
            ("POST", "/api/v1/repositories") => {
                json!({ "project_id": id("projects"), "slug": "new", "url": "https://git.example.org/new.git" })
            }
            ("POST", "/api/v1/repositories/{id}/branches") => json!({ "name": "new" }),
            ("POST", "/api/v1/branches/{id}/commit") => json!({ "commit": "1".repeat(40) }),
            ("POST", "/api/v1/images") => json!({ "project_id": id("projects"), "reference": "registry.example.org/new:main" }),
            ("POST", "/api/v1/images/{id}/digest") => json!({ "digest": format!("sha256:{}", "1".repeat(64)) }),
            ("POST", "/api/v1/deployments/{id}/monitors") => monitor("new"),
            ("POST", "/api/v1/monitors/{id}/results") => json!({ "outcome": "passed" }),
            ("POST", "/api/v1/projects/{id}/secrets" | "/api/v1/secrets") => json!({ "name": "new", "value": "swordfish" }),
            ("PUT", "/api/v1/secrets/{id}/value") => json!({ "value": "swordfish" }),
            ("POST", "/api/v1/datasources") => datasource(&id("projects"), "new"),
            ("POST", "/api/v1/clusters") => json!({ "name": "new" }),
            ("POST", "/api/v1/clusters/{id}/state") => json!({ "move": "begin" }),
            ("PUT", "/api/v1/clusters/{id}/limit") => json!({ "max_running": 3 }),
            ("POST", "/api/v1/users") => json!({ "name": "new" }),
            ("PATCH", "/api/v1/users/{id}") => json!({ "disabled": true }),
            ("POST", "/api/v1/steps") => json!({ "name": "a step" }),
            ("PUT", "/api/v1/projects/{id}/owner") => json!({ "user_id": id("users") }),
            ("PUT", route) if route.ends_with("/members/{user_id}") => json!({ "role": "developer" }),
            _ => json!({}),
        };
        (path + &query, body)
    }

    /// The status; what is streamed is not read.
    async fn status(&self, token: &str, method: &str, path: &str, body: &Value) -> u16 {
        let request = axum::http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", "portal.test")
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            // Of all things only the project was changed since it was made.
            .header("if-match", if path.starts_with("/api/v1/projects/") { "\"2\"" } else { "\"1\"" });
        let request = request.body(Body::from(body.to_string())).unwrap();
        self.site.router.clone().oneshot(request).await.unwrap().status().as_u16()
    }

    /// Everything that somebody could have changed.
    async fn everything(&self) -> String {
        let (me, all) = (&self.me, PageRequest::first(PageRequest::MAX).unwrap());
        let mut told = String::new();
        for project in me.projects(all).await.unwrap().items {
            let id = project.id;
            told.push_str(&format!("{project:?}{:?}", me.members(id).await.unwrap()));
            told.push_str(&format!("{:?}", me.services(id, all).await.unwrap().items));
            told.push_str(&format!("{:?}", me.queue(QueueOf::Project(id), all).await.unwrap().items));
            told.push_str(&format!("{:?}", me.runs(RunFilter { project: Some(id), ..RunFilter::default() }, all).await.unwrap().items));
            for group in me.groups(id, all).await.unwrap().items {
                told.push_str(&format!("{group:?}{:?}", me.scopes(group.id, all).await.unwrap().items));
                told.push_str(&format!("{:?}", me.overrides(OverrideAt::Group(group.id)).await.unwrap()));
            }
            let filter = DeploymentFilter { project: Some(id), ..DeploymentFilter::default() };
            for deployment in me.deployments(filter, all).await.unwrap().items {
                told.push_str(&format!("{deployment:?}{:?}", me.schedules(deployment.id, all).await.unwrap().items));
                told.push_str(&format!("{:?}", me.overrides(OverrideAt::Deployment(deployment.id)).await.unwrap()));
            }
        }
        let tokens = me.tokens(TokenFilter::default(), all).await.unwrap().items;
        // Whoever is refused has used a token all the same.
        let tokens: Vec<_> = tokens.into_iter().map(|token| Token { last_used_at: None, ..token }).collect();
        told + &format!("{:?}{tokens:?}", me.users(all).await.unwrap().items)
    }
}

fn monitor(slug: &str) -> Value {
    json!({ "slug": slug, "check": { "type": "http_request", "url": "https://shop.example.org/health" } })
}

fn datasource(project: &str, slug: &str) -> Value {
    let config = json!({ "path": "/srv/backups" });
    json!({ "project_id": project, "slug": slug, "data_type": "filesystem", "usage": "remote_backup", "config": config })
}

/// The operations of the document that need a token, in the order of their paths.
async fn operations(world: &World) -> Vec<(String, String)> {
    let document = world.site.ask("GET", "/api/v1/openapi.json", &[], "").await.json();
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let is_public = operation["security"].as_array().is_some_and(|ways| ways.contains(&json!({})));
            if !is_public && path.starts_with("/api/") {
                found.push((method.to_uppercase(), path.clone()));
            }
        }
    }
    found.sort_by(|(one, path), (other, further)| (path, one).cmp(&(further, other)));
    found
}

fn outcome(status: u16) -> &'static str {
    match status {
        401 => "401",
        403 => "403",
        404 => "404",
        // Let through, also where the thing then was not in the state for it.
        200..=299 | 409 => "ok",
        422 => "422",
        _ => "unexpected",
    }
}

/// A route without a row here, or whose row says something else, fails; whoever is refused has changed nothing.
#[tokio::test(flavor = "multi_thread")]
async fn every_route_against_everybody() {
    let mut world = World::new().await;
    let disabled = World::with_disabled_owner().await;
    let mut before = world.everything().await;
    let mut table = String::new();
    for (method, route) in operations(&world).await {
        let mut row: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for subject in SUBJECTS {
            let asked = if subject == "disabled-owner" { &disabled } else { &world };
            let (path, body) = asked.request(&method, &route);
            let status = asked.status(&asked.tokens[subject], &method, &path, &body).await;
            let outcome = outcome(status);
            assert_ne!(outcome, "unexpected", "{subject}: {method} {path}: {status}");
            row.entry(outcome).or_default().push(subject);
            if outcome == "ok" || outcome == "422" {
                if method != "GET" {
                    world = World::new().await;
                    before = world.everything().await;
                }
            } else if method != "GET" {
                assert_eq!(world.everything().await, before, "{subject} was refused, and changed something: {method} {path}");
            }
        }
        table.push_str(&format!("{method} {route}\n"));
        for (outcome, subjects) in row {
            table.push_str(&format!("  {outcome}: {}\n", subjects.join(" ")));
        }
    }
    if std::env::var_os("EYRIE_WRITE_GOLDEN").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/portal/matrix.txt"), &table).unwrap();
        return;
    }
    assert_eq!(table, include_str!("matrix.txt"), "EYRIE_WRITE_GOLDEN=1 writes it anew");
}

/// Somebody who may do everything in a project of their own, and names what belongs to another one: in the path, in the query and in
/// the body. Nothing of it is there for them, and nothing changes.
#[tokio::test(flavor = "multi_thread")]
async fn ids_of_another_project_lead_nowhere() {
    let mut world = World::new().await;
    let mallory = world.user("mallory", false).await;
    let token = world.tokens["mallory"].clone();
    let own = world.site.post(&token, "/api/v1/projects", &json!({ "slug": "own" })).await.json();
    let own = own["id"].as_str().unwrap().to_owned();
    let group =
        world.site.post(&token, &format!("/api/v1/projects/{own}/groups"), &json!({ "slug": "g", "group_type": "own" })).await.json();
    let group = group["id"].as_str().unwrap().to_owned();
    let place = format!("/api/v1/groups/{group}/deployments");
    let deployment = world.site.post(&token, &place, &json!({ "slug": "d" })).await.json()["id"].as_str().unwrap().to_owned();
    let before = world.everything().await;
    let id = |kind: &str| world.ids[kind].clone();
    for (method, route) in operations(&world).await {
        // Clusters are the operators': whoever is none is refused before anything is looked for.
        if !route.contains("{id}") || route.contains("/users/") || (route.starts_with("/api/v1/clusters/") && method != "GET") {
            continue;
        }
        let (path, body) = world.request(&method, &route);
        assert_eq!(world.status(&token, &method, &path, &body).await, 404, "{method} {path}");
    }
    for path in [
        format!("/api/v1/runs?project={}", id("projects")),
        format!("/api/v1/runs?service={}", id("services")),
        format!("/api/v1/runs?deployment={}&project={own}", id("deployments")),
        format!("/api/v1/deployed-services?project={}", id("projects")),
        format!("/api/v1/deployed-services?project={own}&deployment={}", id("deployments")),
        format!("/api/v1/releases?deployment={}", id("deployments")),
        format!("/api/v1/services?project={}", id("projects")),
        format!("/api/v1/audit?project={}", id("projects")),
    ] {
        assert_eq!(world.status(&token, "GET", &path, &Value::Null).await, 404, "{path}");
    }
    for (method, path, body, expected) in [
        ("POST", place.clone(), json!({ "slug": "x", "scope_id": id("scopes") }), 422),
        ("POST", place, json!({ "slug": "x", "service_id": id("services") }), 422),
        ("PATCH", format!("/api/v1/deployments/{deployment}"), json!({ "scope_id": id("scopes") }), 422),
        ("POST", "/api/v1/services".to_owned(), json!({ "project_id": id("projects"), "name": "x", "config": {} }), 404),
        (
            "POST",
            "/api/v1/tokens".to_owned(),
            json!({ "name": "x", "target": { "project": id("projects") }, "origin": "ci", "days": 1 }),
            404,
        ),
        (
            "POST",
            "/api/v1/tokens".to_owned(),
            json!({ "name": "x", "target": { "deployment": id("deployments") }, "origin": "ci", "days": 1 }),
            404,
        ),
        // Of another project's member there is none here.
        ("PUT", format!("/api/v1/groups/{group}/members/{}", id("users")), json!({ "role": "admin" }), 404),
        ("PUT", format!("/api/v1/deployments/{deployment}/members/{mallory}"), json!({ "role": "admin" }), 404),
        ("PUT", format!("/api/v1/groups/{}/members/{mallory}", id("groups")), json!({ "role": "admin" }), 404),
    ] {
        assert_eq!(world.status(&token, method, &path, &body).await, expected, "{method} {path} {body}");
    }
    assert_eq!(world.everything().await, before);
}
