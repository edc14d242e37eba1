//! Members and roles of a project, roles that differ in one of its groups or deployments, and why somebody may do something.

use std::collections::BTreeMap;

use axum::{
    extract::{Request, State},
    response::{Html, IntoResponse, Redirect, Response},
};
use eyrie_core::{
    Acting,
    access::{AccessLevel, Permission},
    id::{DeploymentId, GroupId, ProjectId, UserId},
    model::{Grant, OverrideAt, Role},
    name::UserName,
    platform::{Explanation, Place},
    store::{DeploymentFilter, PageRequest},
};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    PageAnswer,
    action::{checked, fields},
    layout::{csrf, page, text},
};
use crate::{
    authentication::Visitor,
    portal::Portal,
    problem::{Answer, Problem},
    request::{Filter, Id},
};

/// The word that takes a role away, where `none` would be a role of its own.
const REMOVE: &str = "remove";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    csrf: String,
    /// An id, or for operators a name.
    user: String,
    /// The new role, or [`REMOVE`].
    role: String,
}

/// What the page is about, with everything on it.
struct Shown {
    place: Place,
    title: String,
    level: AccessLevel,
    project: ProjectId,
    rows: Vec<(UserId, &'static str)>,
    /// Pages of the same kind further down.
    below: Vec<(String, String)>,
}

pub(super) async fn of_project(
    State(portal): State<Portal>,
    visitor: Visitor,
    Id(id): Id<ProjectId>,
    filter: Filter,
) -> PageAnswer<Html<String>> {
    let acting = &visitor.acting;
    let project = acting.project(id).await?;
    let rows = acting.members(id).await?.into_iter().map(|member| (member.user_id, member.role.as_str())).collect();
    let groups = acting.groups(id, PageRequest::first(PageRequest::MAX)?).await?.items;
    let mut below: Vec<_> = groups.iter().map(|group| (format!("/groups/{}/members", group.id), format!("Group {}", group.name))).collect();
    // A deployment may be seen although its group is not.
    let filter_of = DeploymentFilter { project: Some(id), ..DeploymentFilter::default() };
    let deployments = acting.deployments(filter_of, PageRequest::first(PageRequest::MAX)?).await?.items;
    let place = |id: DeploymentId| format!("/deployments/{id}/members");
    below.extend(deployments.iter().map(|deployment| (place(deployment.id), format!("Deployment {}", deployment.name))));
    let title = project.name.to_string();
    let shown = Shown { place: Place::Project(id), title, level: AccessLevel::Project, project: id, rows, below };
    show(&portal, &visitor, shown, filter).await
}

pub(super) async fn of_group(
    State(portal): State<Portal>,
    visitor: Visitor,
    Id(id): Id<GroupId>,
    filter: Filter,
) -> PageAnswer<Html<String>> {
    let group = visitor.acting.group(id).await?;
    let rows = overrides(&visitor.acting, OverrideAt::Group(id)).await?;
    let title = format!("Group {}", group.name);
    let shown = Shown { place: Place::Group(id), title, level: AccessLevel::Group, project: group.project_id, rows, below: Vec::new() };
    show(&portal, &visitor, shown, filter).await
}

pub(super) async fn of_deployment(
    State(portal): State<Portal>,
    visitor: Visitor,
    Id(id): Id<DeploymentId>,
    filter: Filter,
) -> PageAnswer<Html<String>> {
    let deployment = visitor.acting.deployment(id).await?.deployment;
    let rows = overrides(&visitor.acting, OverrideAt::Deployment(id)).await?;
    let (title, project, level) = (format!("Deployment {}", deployment.name), deployment.project_id, AccessLevel::Deployment);
    let shown = Shown { place: Place::Deployment(id), title, level, project, rows, below: Vec::new() };
    show(&portal, &visitor, shown, filter).await
}

async fn overrides(acting: &Acting, at: OverrideAt) -> Answer<Vec<(UserId, &'static str)>> {
    Ok(acting.overrides(at).await?.into_iter().map(|given| (given.user_id, given.role.as_str())).collect())
}

async fn show(portal: &Portal, visitor: &Visitor, shown: Shown, mut filter: Filter) -> PageAnswer<Html<String>> {
    let acting = &visitor.acting;
    let (user, permission) = (filter.take_text("user"), filter.take::<Permission>("permission")?);
    filter.end()?;
    let members = acting.named_members(shown.project).await?;
    let names: BTreeMap<UserId, UserName> = members.into_iter().map(|(name, member)| (member.user_id, name)).collect();
    let explained = match permission {
        None => None,
        Some(permission) => {
            let user = user.filter(|user| !user.trim().is_empty());
            let whom = match &user {
                Some(user) => Some(account(acting, &names, user).await?),
                None => None,
            };
            Some((user, acting.explain(whom, permission, shown.place).await?))
        }
    };
    let may_edit = acting.explain(None, Permission::MemberEdit, shown.place).await?.allowed;
    let is_project = shown.level == AccessLevel::Project;
    let body = html! {
        h1 { (text(&shown.title)) ": members and roles" }
        @if !is_project {
            p { "Roles here count instead of those in " a href={ "/projects/" (shown.project) "/members" } { "the project" } ". Its owner and operators are admin whatever they say." }
        }
        @if shown.rows.is_empty() { p.empty { @if is_project { "Nobody but the owner and operators." } @else { "Every member has its usual role." } } }
        @else {
            div.scroll { table {
                thead { tr { th { "Member" } th { "Role" } @if may_edit { th { "Change" } } } }
                tbody { @for (user, role) in &shown.rows { tr {
                    td { @if let Some(name) = names.get(user) { (text(name.as_str())) } @else { (user) } }
                    td { (role) }
                    @if may_edit { td { (editor(visitor, &shown, Some(*user), role)) } }
                } } }
            } }
        }
        @if may_edit { section { h2 { "Give a role" } (editor(visitor, &shown, None, "user")) } }
        (question(&shown, permission, explained.as_ref()))
        @if !shown.below.is_empty() {
            section {
                h2 { "Roles that differ" }
                ul { @for (place, name) in &shown.below { li { a href=(place) { (text(name)) } } } }
            }
        }
    };
    Ok(page(portal, visitor, "Members", body))
}

/// The form that gives a role, to that user or to one who is named in it.
fn editor(visitor: &Visitor, shown: &Shown, user: Option<UserId>, role: &str) -> Markup {
    let words: Vec<&str> = match shown.level {
        AccessLevel::Project => Role::ALL.iter().map(|role| role.as_str()).collect(),
        _ => Grant::ALL.iter().map(|grant| grant.as_str()).collect(),
    };
    html! {
        form method="post" action=(address(shown.place)) {
            (csrf(visitor))
            @match user {
                Some(user) => { input type="hidden" name="user" value=(user); }
                None => { input name="user" required placeholder="Account: its id or name" aria-label="Account" autocomplete="off"; }
            }
            select name="role" aria-label="Role" {
                @for word in words { option value=(word) selected[word == role] { (word) } }
                @if user.is_some() { option value=(REMOVE) { "remove" } }
            }
            button.quiet { "Set" }
        }
    }
}

/// The form that asks why, and the answer to what was asked.
fn question(shown: &Shown, asked: Option<Permission>, explained: Option<&(Option<String>, Explanation)>) -> Markup {
    html! {
        section {
            h2 { "Who may do what, and why" }
            form method="get" action=(address(shown.place)) {
                input name="user" placeholder="Account; yourself if empty" aria-label="Account" autocomplete="off"
                    value=[explained.and_then(|(user, _)| user.as_deref())];
                select name="permission" aria-label="Permission" {
                    @for permission in Permission::ALL.iter().filter(|permission| permission.levels().contains(&shown.level)) {
                        option value=(permission) selected[Some(*permission) == asked] { (permission) }
                    }
                }
                button.quiet { "Explain" }
            }
            @if let Some((user, told)) = explained {
                p #explained {
                    strong { @if told.allowed { "Allowed" } @else if told.readable { "Refused" } @else { "Hidden" } }
                    ": " (told.permission) " needs " (told.needs) "; "
                    @match user { Some(user) => { (text(user)) " has " } None => { "you have " } }
                    @match told.role { Some(role) => { "the role " (role) } None => { "no role" } }
                    " here, decided by " (told.decided_by.as_str().replace('_', " ")) "."
                }
            }
        }
    }
}

fn address(place: Place) -> String {
    match place {
        Place::Project(id) => format!("/projects/{id}/members"),
        Place::Group(id) => format!("/groups/{id}/members"),
        Place::Deployment(id) => format!("/deployments/{id}/members"),
    }
}

/// The account of that id, of the member of that name, or for operators of any name.
async fn account(acting: &Acting, names: &BTreeMap<UserId, UserName>, said: &str) -> Answer<UserId> {
    let said = said.trim();
    if let Ok(id) = said.parse() {
        return Ok(id);
    }
    if let Some((id, _)) = names.iter().find(|(_, name)| name.as_str() == said) {
        return Ok(*id);
    }
    let name = UserName::new(said).map_err(|_| Problem::invalid("user", "is no id and no name"))?;
    Ok(acting.user_by_name(&name).await?.id)
}

/// Reads the form, and whom it names.
async fn edited(portal: &Portal, visitor: &Visitor, project: ProjectId, request: Request) -> Answer<(UserId, String)> {
    let headers = request.headers().clone();
    let form: Edit = fields(request, portal).await?;
    checked(&headers, &form.csrf)?;
    let members = visitor.acting.named_members(project).await?;
    let names = members.into_iter().map(|(name, member)| (member.user_id, name)).collect();
    Ok((account(&visitor.acting, &names, &form.user).await?, form.role))
}

fn role<T: std::str::FromStr<Err = eyrie_core::Invalid>>(word: &str) -> Answer<T> {
    word.parse().map_err(|invalid: eyrie_core::Invalid| Problem::invalid("role", invalid.reason()))
}

pub(super) async fn edit_project(
    State(portal): State<Portal>,
    visitor: Visitor,
    Id(id): Id<ProjectId>,
    request: Request,
) -> PageAnswer<Response> {
    let (user, word) = edited(&portal, &visitor, id, request).await?;
    if word == REMOVE {
        visitor.acting.remove_member(id, user).await?;
    } else {
        visitor.acting.set_member(id, user, role(&word)?).await?;
    }
    Ok(Redirect::to(&address(Place::Project(id))).into_response())
}

pub(super) async fn edit_group(
    State(portal): State<Portal>,
    visitor: Visitor,
    Id(id): Id<GroupId>,
    request: Request,
) -> PageAnswer<Response> {
    let project = visitor.acting.group(id).await?.project_id;
    let (user, word) = edited(&portal, &visitor, project, request).await?;
    set(&visitor.acting, OverrideAt::Group(id), user, &word).await?;
    Ok(Redirect::to(&address(Place::Group(id))).into_response())
}

pub(super) async fn edit_deployment(
    State(portal): State<Portal>,
    visitor: Visitor,
    Id(id): Id<DeploymentId>,
    request: Request,
) -> PageAnswer<Response> {
    let project = visitor.acting.deployment(id).await?.deployment.project_id;
    let (user, word) = edited(&portal, &visitor, project, request).await?;
    set(&visitor.acting, OverrideAt::Deployment(id), user, &word).await?;
    Ok(Redirect::to(&address(Place::Deployment(id))).into_response())
}

async fn set(acting: &Acting, at: OverrideAt, user: UserId, word: &str) -> Answer<()> {
    if word == REMOVE {
        acting.remove_override(at, user).await?;
    } else {
        acting.set_override(at, user, role(word)?).await?;
    }
    Ok(())
}
