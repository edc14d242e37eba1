//! A portal to ask, and what comes back.

use std::{path::Path, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode, header},
};
use eyrie_core::{
    Eyrie,
    deployment_type::service::{ScriptOptions, ServicesRoot},
    engine::{Action, ActionContext, ActionError, Output},
    memory::MemoryStore,
    model::{NewDeployment, NewGroup, NewProject, Plan, Principal, Run, RunState},
    name::{Origin, UserName},
    platform::SignInFrom,
    secret::MemoryKeyring,
};
use eyrie_portal::{PortalOptions, SetupToken, router};
use serde_json::Value;
use tower::ServiceExt as _;

pub(crate) const PASSWORD: &str = "correct horse battery";

pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answered {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {} {}", self.status, self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The status and the problem's type.
    pub(crate) fn problem(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text);
        let body = self.json();
        assert_eq!(body["status"], self.status.as_u16());
        (self.status.as_u16(), body["type"].as_str().unwrap().trim_start_matches("urn:eyrie:problem:").to_owned())
    }
}

pub(crate) struct Site {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) eyrie: Eyrie,
    pub(crate) options: PortalOptions,
    pub(crate) router: Router,
}

/// Fails with a message that a page must not obey.
#[derive(Debug)]
struct Markup;

#[async_trait::async_trait]
impl Action for Markup {
    async fn run(&self, cx: ActionContext) -> Result<Option<Output>, ActionError> {
        cx.log("log <i>line</i>\u{1b}[31m\n").await;
        if !cx.parameters().is_null() {
            cx.log(format!("{}\n", cx.parameters())).await;
        }
        Err(ActionError::permanent("<script>alert(1)</script>\u{1b}[31m"))
    }
}

/// Succeeds at once.
#[derive(Debug)]
struct Done;

#[async_trait::async_trait]
impl Action for Done {
    async fn run(&self, _: ActionContext) -> Result<Option<Output>, ActionError> {
        Ok(None)
    }
}

impl Site {
    pub(crate) async fn new() -> Self {
        let services = Path::new(env!("CARGO_MANIFEST_DIR")).join("../services");
        let store = Arc::new(MemoryStore::new());
        let builder = Eyrie::builder(store.clone()).action("test.markup", Markup).action("test.done", Done);
        let eyrie = builder
            .services(ServicesRoot::open(services).unwrap(), ScriptOptions::default())
            .keyring(MemoryKeyring::generate().unwrap())
            .start()
            .await
            .unwrap();
        let options = PortalOptions { setup: Some(SetupToken::generate().unwrap()), ..PortalOptions::default() };
        let router = router(eyrie.clone(), options.clone());
        Self { store, eyrie, options, router }
    }

    /// One with an operator named ann.
    pub(crate) async fn with_ann() -> (Self, String) {
        let site = Self::new().await;
        site.eyrie.create_first_operator(UserName::new("ann").unwrap(), PASSWORD.to_owned()).await.unwrap();
        let token = site.session("ann").await;
        (site, token)
    }

    pub(crate) async fn session(&self, name: &str) -> String {
        let name = UserName::new(name).unwrap();
        let (secret, _) =
            self.eyrie.sign_in(name.as_str(), PASSWORD.to_owned(), SignInFrom::new(Origin::new("test").unwrap())).await.unwrap();
        secret.reveal().to_owned()
    }

    /// A further account, without rights.
    pub(crate) async fn outsider(&self) -> String {
        let new = serde_json::from_value(serde_json::json!({ "name": "bob", "password": PASSWORD })).unwrap();
        self.eyrie.acting_as(Principal::local_operator()).create_user(new).await.unwrap();
        self.session("bob").await
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answered {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 32 << 20).await.unwrap();
        Answered { status: parts.status, headers: parts.headers, text: String::from_utf8(body.to_vec()).unwrap() }
    }

    /// `headers` is `name: value` lines.
    pub(crate) async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answered {
        let mut request = Request::builder().method(method).uri(path).header("host", "portal.test");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.into()).unwrap()).await
    }

    pub(crate) async fn get(&self, token: &str, path: &str) -> Answered {
        self.ask("GET", path, &[("authorization", &format!("Bearer {token}"))], "").await
    }

    pub(crate) async fn put(&self, method: &str, token: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Answered {
        let bearer = format!("Bearer {token}");
        let mut all = vec![("authorization", bearer.as_str()), (header::CONTENT_TYPE.as_str(), "application/json")];
        all.extend(headers);
        self.ask(method, path, &all, body.to_string()).await
    }

    pub(crate) async fn post(&self, token: &str, path: &str, body: &Value) -> Answered {
        self.put("POST", token, path, &[], body).await
    }

    /// A finished run whose only step said something in markup.
    pub(crate) async fn markup_run(&self) -> Run {
        let plan = Plan::builder().step("<b>bold</b>", "test.markup", |step| step).build().unwrap();
        self.run_of(plan).await
    }

    /// A run of that plan, in a project of its own, once it has ended or waits.
    pub(crate) async fn run_of(&self, plan: Plan) -> Run {
        let acting = self.eyrie.acting_as(Principal::local_operator());
        let project = acting.create_project(NewProject::new("blog").unwrap()).await.unwrap();
        let group = acting.create_group(project.id, NewGroup::new("web", "own").unwrap()).await.unwrap();
        let deployment = acting.create_deployment(group.id, NewDeployment::new("site").unwrap()).await.unwrap();
        let run = acting.run_plan(deployment.id, plan).await.unwrap();
        self.ended(run.id).await
    }

    /// The run, once it has ended or waits for somebody.
    pub(crate) async fn ended(&self, id: eyrie_core::id::RunId) -> Run {
        let acting = self.eyrie.acting_as(Principal::local_operator());
        for _ in 0..600 {
            let run = acting.run(id).await.unwrap().run;
            if run.state.is_terminal() || matches!(run.state, RunState::Parked | RunState::Waiting) {
                return run;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("run {id} did not end");
    }
}
