//! Services and deployments with how their last run went; recent runs.

use std::collections::HashMap;

use axum::{
    extract::State,
    response::{Html, IntoResponse, Response},
};
use eyrie_core::{
    Acting, ErrorKind,
    id::{DeploymentId, ProjectId},
    model::{Deployment, Project, Run, Service},
    store::{DeploymentFilter, PageRequest, RunFilter},
};
use maud::{Markup, html};

use super::{
    PageAnswer,
    layout::{badge, csrf, older, page, run_table, text, took},
    time::moment,
};
use crate::{
    authentication::Visitor,
    portal::Portal,
    problem::Answer,
    request::{Filter, Id},
    setup::random_text,
};

/// How many projects stand on the overview, and how many deployments of each.
const PROJECTS: u32 = 20;
const DEPLOYMENTS: u32 = 50;
/// How many recent runs are listed.
const RUNS: u32 = 50;

pub(super) async fn home(State(portal): State<Portal>, visitor: Visitor, mut filter: Filter) -> PageAnswer<Response> {
    let projects = visitor.acting.projects(filter.page()?.limited(PROJECTS)?).await?;
    let mut sections = Vec::new();
    for project in &projects.items {
        sections.push(section(&visitor, project, PageRequest::first(DEPLOYMENTS)?).await?);
    }
    let body = html! {
        h1 { "Services and deployments" }
        div #live data-live="/api/v1/events" {
            @if sections.is_empty() {
                p.empty { "There is nothing here yet. An operator can take over the services directory with " code { "eyrie services sync" } "." }
            }
            @for section in sections { (section) }
            (older("/", projects.next))
        }
    };
    Ok(page(&portal, &visitor, "Services", body).into_response())
}

pub(super) async fn project(
    State(portal): State<Portal>,
    visitor: Visitor,
    Id(id): Id<ProjectId>,
    mut filter: Filter,
) -> PageAnswer<Html<String>> {
    let asked = filter.page()?;
    let project = visitor.acting.project(id).await?;
    let body = html! {
        h1 { (project.name) }
        p { a href={ "/projects/" (id) "/members" } { "Members and roles" } " · " a href={ "/projects/" (id) "/tokens" } { "Tokens" } " · " a href={ "/projects/" (id) "/audit" } { "Audit" } }
        div #live data-live="/api/v1/events" { (section(&visitor, &project, asked).await?) }
    };
    Ok(page(&portal, &visitor, project.name.as_str(), body))
}

/// Lets a page's size be set without losing its place.
trait Limited: Sized {
    fn limited(self, limit: u32) -> Answer<Self>;
}

impl Limited for PageRequest {
    fn limited(self, limit: u32) -> Answer<Self> {
        Ok(Self::first(limit)?.after(self.cursor()))
    }
}

async fn section(visitor: &Visitor, project: &Project, asked: PageRequest) -> Answer<Markup> {
    let filter = DeploymentFilter { project: Some(project.id), ..DeploymentFilter::default() };
    let deployments = visitor.acting.deployments(filter, asked).await?;
    let services = visitor.acting.services(project.id, PageRequest::first(PageRequest::MAX)?).await?;
    let mut rows = Vec::new();
    for deployment in &deployments.items {
        let service = services.items.iter().find(|service| Some(service.id) == deployment.service_id);
        let last = last_run(&visitor.acting, deployment.id).await?;
        rows.push(row(visitor, deployment, service, last.as_ref())?);
    }
    Ok(html! {
        section {
            h2 { a href={ "/projects/" (project.id) } { (project.name) } " " small { (project.namespace.name) } }
            @if rows.is_empty() { p.empty { "No deployments yet." } }
            @else { ul.cards { @for row in rows { (row) } } }
            (older(&format!("/projects/{}", project.id), deployments.next))
        }
    })
}

async fn last_run(acting: &Acting, deployment: DeploymentId) -> Answer<Option<Run>> {
    let filter = RunFilter { deployment: Some(deployment), ..RunFilter::default() };
    Ok(acting.runs(filter, PageRequest::first(1)?).await?.items.pop())
}

fn row(visitor: &Visitor, deployment: &Deployment, service: Option<&Service>, last: Option<&Run>) -> Answer<Markup> {
    let about = service.and_then(|service| service.config.get("description")).and_then(serde_json::Value::as_str);
    Ok(html! {
        li.card {
            div.what {
                h3 { a href={ "/deployments/" (deployment.id) } { (deployment.name) } }
                @if let Some(about) = about { p { (text(about)) } }
                @if let Some(service) = service { p.faint { "Service " a href={ "/services/" (service.id) } { (service.name) } } }
            }
            div.last {
                @if let Some(run) = last {
                    a href={ "/runs/" (run.id) } { (badge(run.state.as_str())) }
                    span.faint { (run.kind) " · " (moment(run.queued_at)) " · " (took(run)) }
                } @else { span.faint { "never run" } }
            }
            (deploy_button(visitor, deployment.id)?)
        }
    })
}

/// The form that starts a deploy. Sent twice, it starts one run.
pub(super) fn deploy_button(visitor: &Visitor, deployment: DeploymentId) -> Answer<Markup> {
    Ok(html! {
        form method="post" action={ "/deployments/" (deployment) "/runs" } {
            (csrf(visitor))
            input type="hidden" name="key" value=(random_text()?);
            button { "Deploy" }
        }
    })
}

pub(super) async fn runs(State(portal): State<Portal>, visitor: Visitor, mut filter: Filter) -> PageAnswer<Html<String>> {
    let asked = filter.page()?.limited(RUNS)?;
    let acting = &visitor.acting;
    let (runs, next) = match acting.runs(RunFilter::default(), asked).await {
        Ok(all) => (all.items, all.next),
        Err(error) if error.kind() == ErrorKind::Denied => (recent_of_own(acting).await?, None),
        Err(error) => return Err(error.into()),
    };
    let names = names(acting, &runs).await;
    let body = html! {
        h1 { "Recent runs" }
        div #live data-live="/api/v1/events" {
            (run_table(runs.iter().map(|run| (run, names.get(&run.deployment_id).map(String::as_str)))))
            (older("/runs", next))
        }
    };
    Ok(page(&portal, &visitor, "Runs", body))
}

/// The newest runs of the projects that the visitor may read.
async fn recent_of_own(acting: &Acting) -> Answer<Vec<Run>> {
    let mut runs = Vec::new();
    for project in acting.projects(PageRequest::default()).await?.items {
        let filter = RunFilter { project: Some(project.id), ..RunFilter::default() };
        runs.extend(acting.runs(filter, PageRequest::first(RUNS)?).await?.items);
    }
    runs.sort_by_key(|run| std::cmp::Reverse((run.queued_at, run.id)));
    runs.truncate(RUNS as usize);
    Ok(runs)
}

async fn names(acting: &Acting, runs: &[Run]) -> HashMap<DeploymentId, String> {
    let mut names = HashMap::new();
    for run in runs {
        if !names.contains_key(&run.deployment_id)
            && let Ok(view) = acting.deployment(run.deployment_id).await
        {
            names.insert(run.deployment_id, view.deployment.name.to_string());
        }
    }
    names
}
