//! A team's own web program: its page, its way to say what is deployed, and Eyrie's REST interface beside them, from one router.
use std::{net::SocketAddr, sync::Arc};

use async_trait::async_trait;
use axum::{Router, extract::State, http::StatusCode, routing::get};
use eyrie_core::engine::{Action, ActionContext, ActionError, Output};
use eyrie_core::model::{NewDeployment, NewGroup, NewProject, Plan, Principal};
use eyrie_core::store::{PageRequest, RunFilter};
use eyrie_core::{Acting, Eyrie};
use eyrie_portal::PortalOptions;
use eyrie_store_sea::SeaStore;

#[derive(Debug)]
struct Ship;

#[async_trait]
impl Action for Ship {
    async fn run(&self, cx: ActionContext) -> Result<Option<Output>, ActionError> {
        cx.progress("on its way");
        Ok(None)
    }
}

/// The team's page. It reads the platform through the library, on behalf of whoever the team says.
async fn home(State(eyrie): State<Eyrie>) -> Result<String, StatusCode> {
    let me = eyrie.acting_as(Principal::local_operator());
    let runs = me.runs(RunFilter::default(), PageRequest::default()).await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    Ok(runs.items.iter().map(|run| format!("{} {}\n", run.kind, run.state)).collect())
}

/// The team's routes and Eyrie's, which leave every address to the team that they do not name.
fn app(eyrie: Eyrie) -> Router {
    let options = PortalOptions { pages: false, ..PortalOptions::default() };
    let own = Router::new().route("/", get(home)).fallback(async || (StatusCode::NOT_FOUND, "the team's own not-found page"));
    own.with_state(eyrie.clone()).merge(eyrie_portal::router(eyrie, options))
}

/// Something to look at: a deployment, and a run of it.
async fn deploy(me: &Acting) -> eyrie_core::Result<()> {
    let project = me.create_project(NewProject::new("blog")?).await?;
    let group = me.create_group(project.id, NewGroup::new("web", "own")?).await?;
    let deployment = me.create_deployment(group.id, NewDeployment::new("production")?).await?;
    let run = me.run_plan(deployment.id, Plan::builder().step("ship", "ship", |step| step).build()?).await?;
    let mut events = me.follow_run(run.id, 0).await?;
    while events.next().await?.is_some() {}
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let store = SeaStore::open(&format!("sqlite:{}/own.db", folder.path().display())).await?;
    let eyrie = Eyrie::builder(Arc::new(store)).action("ship", Ship).start().await?;
    deploy(&eyrie.acting_as(Principal::local_operator())).await?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("the team's page: http://{0}/   Eyrie's document: http://{0}/api/v1/openapi.json", listener.local_addr()?);
    Ok(axum::serve(listener, app(eyrie).into_make_service_with_connect_info::<SocketAddr>()).await?)
}

#[cfg(test)]
mod tests {
    use axum::{
        body::{Body, to_bytes},
        http::{Request, header},
    };
    use eyrie_core::memory::MemoryStore;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn the_team_keeps_its_addresses_and_eyrie_has_its_own() {
        let eyrie = Eyrie::builder(Arc::new(MemoryStore::new())).action("ship", Ship).start().await.unwrap();
        deploy(&eyrie.acting_as(Principal::local_operator())).await.unwrap();
        let app = app(eyrie);
        let get = async |path: &str| {
            let response = app.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
            let kind = response.headers().get(header::CONTENT_TYPE).map(|kind| kind.to_str().unwrap().to_owned()).unwrap_or_default();
            let (status, body) = (response.status(), to_bytes(response.into_body(), 1 << 20).await.unwrap());
            (status.as_u16(), kind, String::from_utf8(body.to_vec()).unwrap())
        };
        assert_eq!(get("/").await.2, "deploy succeeded\n");
        assert_eq!((get("/nonesuch").await.0, get("/login").await.2.as_str()), (404, "the team's own not-found page"));
        assert_eq!(get("/healthz").await.0, 200);
        for (path, status) in [("/api/v1/projects", 401), ("/api/v1/nonesuch", 404), ("/api/nonesuch", 404)] {
            let (code, kind, text) = get(path).await;
            assert_eq!((code, kind.as_str()), (status, "application/problem+json"), "{path}: {text}");
        }
        assert!(get("/api/v1/openapi.json").await.2.contains("/api/v1/projects"));
    }
}
