//! Tokens: one's own, and those that stand in a project, with what they can do and when they were last used.

use axum::{
    extract::{Request, State},
    response::{Html, IntoResponse, Redirect, Response},
};
use eyrie_core::{
    access::{Permission, TokenSecret},
    id::{ProjectId, TokenId},
    model::{Token, TokenBinding, TokenCapabilities, TokenCapability, TokenKind},
    name::{DisplayName, Origin},
    platform::{NewServiceToken, Place, ServiceTokenTarget, TokenRotation},
    store::{DeploymentFilter, PageRequest, TokenFilter},
};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    PageAnswer,
    action::{checked, fields},
    layout::{badge, csrf, older, page, text},
    time::moment,
};
use crate::{
    authentication::Visitor,
    portal::Portal,
    problem::{Answer, Problem},
    request::{Filter, Id},
};

/// For how long the old token is still valid when it is replaced here: time to put the new one where it belongs.
const OVERLAP_SECONDS: u64 = 3600;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    csrf: String,
    name: String,
    /// What it is bound to: `group:ID` and the like.
    target: String,
    origin: String,
    days: u16,
    #[serde(default)]
    deploy: bool,
    #[serde(default)]
    cancel: bool,
    #[serde(default)]
    approve: bool,
    #[serde(default)]
    record: bool,
}

impl New {
    /// What was ticked; reading is part of all, and what is left when nothing is.
    fn capabilities(&self) -> TokenCapabilities {
        let ticked = [
            (self.deploy, TokenCapability::Deploy),
            (self.cancel, TokenCapability::Cancel),
            (self.approve, TokenCapability::Approve),
            (self.record, TokenCapability::Record),
        ];
        let ticked = ticked.into_iter().filter_map(|(ticked, capability)| ticked.then_some(capability));
        ticked.chain([TokenCapability::Read]).collect()
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Press {
    csrf: String,
}

pub(super) async fn own(State(portal): State<Portal>, visitor: Visitor, filter: Filter) -> PageAnswer<Html<String>> {
    show(&portal, &visitor, None, filter).await
}

pub(super) async fn of_project(
    State(portal): State<Portal>,
    visitor: Visitor,
    Id(project): Id<ProjectId>,
    filter: Filter,
) -> PageAnswer<Html<String>> {
    show(&portal, &visitor, Some(project), filter).await
}

async fn show(portal: &Portal, visitor: &Visitor, project: Option<ProjectId>, mut filter: Filter) -> PageAnswer<Html<String>> {
    let asked = filter.page()?;
    filter.end()?;
    let wanted = TokenFilter { project, ..TokenFilter::default() };
    let tokens = visitor.acting.tokens(wanted, asked).await?;
    let place = project.map_or_else(|| "/tokens".to_owned(), |project| format!("/projects/{project}/tokens"));
    let form = match project {
        Some(project) if visitor.acting.explain(None, Permission::TokenCreate, Place::Project(project)).await?.allowed => {
            Some(new_form(visitor, project, &place).await?)
        }
        _ => None,
    };
    let body = html! {
        h1 { "Tokens" }
        @if project.is_none() { p { "Your own sessions, and the tokens that you have made. Those of a project are on its page." } }
        @if tokens.items.is_empty() { p.empty { "No tokens." } } @else { (table(visitor, &tokens.items)) }
        (older(&place, tokens.next))
        @if let Some(form) = form { section { h2 { "Make a token" } (form) } }
    };
    Ok(page(portal, visitor, "Tokens", body))
}

fn table(visitor: &Visitor, tokens: &[Token]) -> Markup {
    let now = eyrie_core::Timestamp::now();
    html! { div.scroll { table {
        thead { tr { th { "Name" } th { "Kind" } th { "Bound to" } th { "Can" } th { "Origin" } th { "Last used" } th { "Until" } th { "" } } }
        tbody { @for token in tokens { tr {
            td { (text(token.name.as_str())) }
            td { (token.kind) }
            td { (bound(token.binding)) }
            td { (can(token)) }
            td { (text(token.origin.as_str())) }
            td { @match token.last_used_at { Some(at) => (moment(at)), None => "–" } }
            td { @match token.revoked_at { Some(at) => { (badge("revoked")) " " (moment(at)) }, None => (moment(token.expires_at)) } }
            td { @if token.is_valid_at(now) {
                @if matches!(token.kind, TokenKind::Service | TokenKind::Discovery) { (button(visitor, token.id, "rotate", "Replace")) }
                (button(visitor, token.id, "revoke", "Revoke"))
            } }
        } } }
    } } }
}

fn button(visitor: &Visitor, token: TokenId, verb: &str, label: &str) -> Markup {
    html! { form method="post" action={ "/tokens/" (token) "/" (verb) } { (csrf(visitor)) button.quiet { (label) } } }
}

fn bound(binding: TokenBinding) -> Markup {
    match binding {
        TokenBinding::Project(id) => html! { a href={ "/projects/" (id) } { "the project" } },
        TokenBinding::Deployment(id) => html! { a href={ "/deployments/" (id) } { "a deployment" } },
        TokenBinding::Service(id) => html! { a href={ "/services/" (id) } { "a service" } },
        TokenBinding::Run(id) => html! { a href={ "/runs/" (id) } { "a run" } },
        TokenBinding::Group(id) => html! { "group " code { (id) } },
        TokenBinding::User(_) => html! { "its user" },
        _ => html! { "everything" },
    }
}

fn can(token: &Token) -> String {
    let can = TokenCapability::ALL.iter().filter(|capability| token.capabilities.include(**capability));
    can.map(|capability| capability.as_str()).collect::<Vec<_>>().join(", ")
}

async fn new_form(visitor: &Visitor, project: ProjectId, place: &str) -> Answer<Markup> {
    let all = PageRequest::first(PageRequest::MAX)?;
    let groups = visitor.acting.groups(project, all).await?.items;
    let services = visitor.acting.services(project, all).await?.items;
    let filter = DeploymentFilter { project: Some(project), ..DeploymentFilter::default() };
    let deployments = visitor.acting.deployments(filter, all).await?.items;
    Ok(html! {
        form.stack method="post" action=(place) {
            (csrf(visitor))
            label for="name" { "Name" }
            input #name name="name" maxlength="200" required;
            label for="target" { "Bound to" }
            select #target name="target" {
                option value={ "project:" (project) } { "The whole project" }
                @for group in &groups { option value={ "group:" (group.id) } { "Group " (text(group.name.as_str())) } }
                @for service in &services { option value={ "service:" (service.id) } { "Service " (text(service.name.as_str())) } }
                @for one in &deployments { option value={ "deployment:" (one.id) } { "Deployment " (text(one.name.as_str())) } }
            }
            fieldset {
                legend { "Can read, and" }
                @for (name, label, ticked) in [
                    ("deploy", "start runs", true),
                    ("cancel", "cancel runs", true),
                    ("approve", "approve of steps", false),
                    ("record", "say what was pushed, built and found out", false),
                ] { label { input type="checkbox" name=(name) value="true" checked[ticked]; " " (label) } }
            }
            label for="origin" { "Where it will be used" }
            input #origin name="origin" maxlength="64" required;
            label for="days" { "Days that it lasts, 1 to 180" }
            input #days name="days" type="number" min="1" max="180" value="30" required;
            button { "Make it" }
        }
    })
}

fn target(text: &str) -> Answer<ServiceTokenTarget> {
    let wrong = || Problem::invalid("target", "must be one that the form offers");
    let (what, id) = text.split_once(':').ok_or_else(wrong)?;
    Ok(match what {
        "project" => ServiceTokenTarget::Project(id.parse().map_err(|_| wrong())?),
        "group" => ServiceTokenTarget::Group(id.parse().map_err(|_| wrong())?),
        "service" => ServiceTokenTarget::Service(id.parse().map_err(|_| wrong())?),
        "deployment" => ServiceTokenTarget::Deployment(id.parse().map_err(|_| wrong())?),
        _ => return Err(wrong()),
    })
}

pub(super) async fn create(
    State(portal): State<Portal>,
    visitor: Visitor,
    Id(project): Id<ProjectId>,
    request: Request,
) -> PageAnswer<Html<String>> {
    let headers = request.headers().clone();
    let form: New = fields(request, &portal).await?;
    checked(&headers, &form.csrf)?;
    let capabilities = form.capabilities();
    let (name, origin) = (DisplayName::new(form.name)?, Origin::new(form.origin)?);
    let new = NewServiceToken { name, target: target(&form.target)?, capabilities, origin, days: form.days };
    let (secret, token) = visitor.acting.create_service_token(new).await?;
    Ok(shown_once(&portal, &visitor, &secret, &token, &format!("/projects/{project}/tokens")))
}

pub(super) async fn rotate(
    State(portal): State<Portal>,
    visitor: Visitor,
    Id(id): Id<TokenId>,
    request: Request,
) -> PageAnswer<Html<String>> {
    press(&portal, request).await?;
    let rotation = TokenRotation { days: None, overlap_seconds: OVERLAP_SECONDS };
    let (secret, token) = visitor.acting.rotate_token(id, rotation).await?;
    Ok(shown_once(&portal, &visitor, &secret, &token, &list_of(&token)))
}

pub(super) async fn revoke(State(portal): State<Portal>, visitor: Visitor, Id(id): Id<TokenId>, request: Request) -> PageAnswer<Response> {
    press(&portal, request).await?;
    let token = visitor.acting.token(id).await?;
    visitor.acting.revoke_token(id).await?;
    Ok(Redirect::to(&list_of(&token)).into_response())
}

async fn press(portal: &Portal, request: Request) -> Answer<()> {
    let headers = request.headers().clone();
    let form: Press = fields(request, portal).await?;
    checked(&headers, &form.csrf)
}

/// The page that a token is on.
fn list_of(token: &Token) -> String {
    token.project_id.map_or_else(|| "/tokens".to_owned(), |project| format!("/projects/{project}/tokens"))
}

/// The only page that ever shows it. It is an answer to a form, and not kept by anybody in between.
fn shown_once(portal: &Portal, visitor: &Visitor, secret: &TokenSecret, token: &Token, back: &str) -> Html<String> {
    let body = html! {
        h1 { (text(token.name.as_str())) }
        p { "This is shown once. Whoever has it can " (can(token)) " until " (moment(token.expires_at)) "." }
        p { code { (secret.reveal()) } }
        @if token.replaces.is_some() { p { "The token that it replaces is valid for " (OVERLAP_SECONDS / 60) " more minutes at most." } }
        p { a href=(back) { "To the tokens" } }
    };
    page(portal, visitor, "A new token", body)
}
