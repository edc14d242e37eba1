//! `eyrie member` and `eyrie explain`: roles in projects, groups and deployments, and why somebody may do something.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use eyrie_core::{
    Acting,
    access::Permission,
    id::{DeploymentId, GroupId, ProjectId, UserId},
    model::{Grant, OverrideAt},
    name::{ServiceName, UserName},
    platform,
};
use serde_json::{Value, json};

use super::{CliResult, Place, backend::Backend, progress::printable, say};

#[derive(Debug, Subcommand)]
pub(super) enum MemberCommand {
    /// List the members of a project, or the roles that differ in a group or deployment.
    List {
        #[command(flatten)]
        at: At,
    },
    /// Give somebody a role: user, developer or admin; in a group or deployment also none.
    Set {
        /// The account: its id, or for operators its name.
        user: String,
        /// The role.
        role: Grant,
        #[command(flatten)]
        at: At,
    },
    /// Take somebody out of a project, or a role that differs away.
    Remove {
        /// The account: its id, or for operators its name.
        user: String,
        #[command(flatten)]
        at: At,
    },
}

/// Where roles count.
#[derive(Debug, Clone, Args)]
#[group(id = "at", required = true, multiple = false)]
pub(super) struct At {
    /// In this project.
    #[arg(long)]
    project: Option<ProjectId>,
    /// In this group.
    #[arg(long)]
    group: Option<GroupId>,
    /// In this deployment.
    #[arg(long)]
    deployment: Option<DeploymentId>,
    /// In the deployment of this service.
    #[arg(long)]
    service: Option<String>,
}

#[derive(Debug, Clone, Args)]
pub(super) struct ExplainArguments {
    /// The permission, for instance run.start.
    permission: Permission,
    /// The account: its id, or for operators its name; yourself if missing.
    #[arg(long)]
    user: Option<String>,
    #[command(flatten)]
    at: At,
}

/// `eyrie member …`.
pub(super) async fn member(place: &Place, command: MemberCommand) -> CliResult {
    let backend = Backend::open(place, false).await?;
    match command {
        MemberCommand::List { at } => list(&backend, &at).await?,
        MemberCommand::Set { user, role, at } => set(&backend, &at, &user, role).await?,
        MemberCommand::Remove { user, at } => remove(&backend, &at, &user).await?,
    }
    backend.close().await;
    Ok(ExitCode::SUCCESS)
}

/// `eyrie explain`: exits with 1 when it may not be done.
pub(super) async fn explain(place: &Place, arguments: ExplainArguments) -> CliResult {
    let backend = Backend::open(place, false).await?;
    let ExplainArguments { permission, user, at } = arguments;
    let at = found(&backend, &at).await?;
    let user = match &user {
        Some(user) => Some(account(&backend, user).await?),
        None => None,
    };
    let told = match &backend {
        Backend::Local { me, .. } => serde_json::to_value(me.explain(user, permission, at).await?)?,
        Backend::Remote(remote) => {
            let user = user.map_or_else(String::new, |user| format!("&user={user}"));
            remote.get(&format!("{}/explain?permission={permission}{user}", route(at))).await?
        }
    };
    let allowed = told["allowed"] == true;
    let verdict = if allowed { "allowed" } else { "refused" };
    let [role, by, needs] = ["role", "decided_by", "needs"].map(|key| printable(told[key].as_str().unwrap_or("none")));
    say(format_args!("{verdict}: {permission} needs {needs}; role {role}, decided by {by}"));
    backend.close().await;
    Ok(if allowed { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

async fn list(backend: &Backend, at: &At) -> CliResult<()> {
    let at = found(backend, at).await?;
    let members = match backend {
        Backend::Local { me, .. } => match overridden(at) {
            Ok(at) => serde_json::to_value(me.overrides(at).await?)?,
            Err(project) => serde_json::to_value(me.members(project).await?)?,
        },
        Backend::Remote(remote) => remote.get(&format!("{}/members", route(at))).await?["items"].take(),
    };
    say(format_args!("{:<36}  role", "account"));
    for one in serde_json::from_value::<Vec<Value>>(members)? {
        let [user, role] = ["user_id", "role"].map(|key| printable(one[key].as_str().unwrap_or("-")));
        say(format_args!("{user:<36}  {role}"));
    }
    Ok(())
}

async fn set(backend: &Backend, at: &At, name: &str, role: Grant) -> CliResult<()> {
    let (at, user) = (found(backend, at).await?, account(backend, name).await?);
    match backend {
        Backend::Local { me, .. } => match overridden(at) {
            Ok(at) => drop(me.set_override(at, user, role).await?),
            Err(project) => {
                let role = role.role().ok_or("there is no role none in a project; remove the member instead")?;
                me.set_member(project, user, role).await?;
            }
        },
        Backend::Remote(remote) => drop(remote.put(&format!("{}/members/{user}", route(at)), &json!({ "role": role })).await?),
    }
    say(format_args!("{} has the role {role}", printable(name)));
    Ok(())
}

async fn remove(backend: &Backend, at: &At, name: &str) -> CliResult<()> {
    let (at, user) = (found(backend, at).await?, account(backend, name).await?);
    match backend {
        Backend::Local { me, .. } => match overridden(at) {
            Ok(at) => me.remove_override(at, user).await?,
            Err(project) => me.remove_member(project, user).await?,
        },
        Backend::Remote(remote) => remote.delete(&format!("{}/members/{user}", route(at))).await?,
    }
    say(format_args!("removed {}", printable(name)));
    Ok(())
}

/// The place that is meant.
async fn found(backend: &Backend, at: &At) -> CliResult<platform::Place> {
    Ok(match at {
        At { project: Some(project), .. } => platform::Place::Project(*project),
        At { group: Some(group), .. } => platform::Place::Group(*group),
        At { deployment: Some(deployment), .. } => platform::Place::Deployment(*deployment),
        At { service, .. } => platform::Place::Deployment(deployment(backend, service.as_deref().unwrap_or_default()).await?),
    })
}

async fn deployment(backend: &Backend, service: &str) -> CliResult<DeploymentId> {
    let id = match backend {
        Backend::Local { me, .. } => me.service_deployment(&ServiceName::new(service)?).await?.id.to_string(),
        Backend::Remote(remote) => {
            let deployment = remote.get(&format!("services/{service}/deployment")).await?;
            deployment["id"].as_str().unwrap_or_default().to_owned()
        }
    };
    Ok(id.parse()?)
}

/// The account of that id or name.
async fn account(backend: &Backend, name: &str) -> CliResult<UserId> {
    if let Ok(id) = name.parse() {
        return Ok(id);
    }
    match backend {
        Backend::Local { me, .. } => named(me, name).await,
        Backend::Remote(remote) => {
            let mut after = String::new();
            loop {
                let page = remote.get(&format!("users?limit=500{after}")).await?;
                let known = page["items"].as_array().and_then(|all| all.iter().find(|one| one["name"] == name));
                if let Some(id) = known.and_then(|one| one["id"].as_str()) {
                    return Ok(id.parse()?);
                }
                match page["next"].as_str() {
                    Some(next) => after = format!("&after={next}"),
                    None => return Err(format!("there is no account {}", printable(name)).into()),
                }
            }
        }
    }
}

async fn named(me: &Acting, name: &str) -> CliResult<UserId> {
    Ok(me.user_by_name(&UserName::new(name)?).await?.id)
}

fn overridden(at: platform::Place) -> Result<OverrideAt, ProjectId> {
    match at {
        platform::Place::Project(project) => Err(project),
        platform::Place::Group(group) => Ok(OverrideAt::Group(group)),
        platform::Place::Deployment(deployment) => Ok(OverrideAt::Deployment(deployment)),
    }
}

fn route(at: platform::Place) -> String {
    match at {
        platform::Place::Project(id) => format!("projects/{id}"),
        platform::Place::Group(id) => format!("groups/{id}"),
        platform::Place::Deployment(id) => format!("deployments/{id}"),
    }
}
