//! `eyrie token`: tokens for programs that deploy from elsewhere.

use std::process::ExitCode;

use clap::Subcommand;
use eyrie_core::{
    id::{ProjectId, TokenId},
    model::TokenCapability,
    name::{DisplayName, Origin, ServiceName},
    platform::{NewServiceToken, ServiceTokenTarget, TokenRotation},
    store::{PageRequest, TokenFilter},
};
use serde_json::{Value, json};

use super::{CliResult, Place, backend::Backend, progress::printable, say};

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Add a service token and print its secret, once.
    Add {
        /// The service that it may deploy.
        service: String,
        /// From where it will be used: kept on every run that it starts.
        #[arg(long)]
        origin: String,
        /// How many days it lasts, 1 to 180.
        #[arg(long, default_value_t = 30)]
        days: u16,
        /// What it can do: read, deploy, cancel, approve, record; the first is part of each other one.
        #[arg(long, value_delimiter = ',', default_value = "deploy,cancel,record")]
        can: Vec<TokenCapability>,
    },
    /// List tokens, without their secrets: your own ones, or those that stand in a project.
    List {
        /// Those that stand in this project.
        #[arg(long)]
        project: Option<ProjectId>,
    },
    /// Put another token in the place of one, and print its secret, once.
    Rotate {
        /// The token's id.
        token: TokenId,
        /// How many days the new one lasts; as long as the old one did, if missing.
        #[arg(long)]
        days: Option<u16>,
        /// For how many seconds the old one is still valid.
        #[arg(long, default_value_t = 0)]
        overlap: u64,
    },
    /// Revoke a token: it is refused from then on.
    Revoke {
        /// The token's id.
        token: TokenId,
    },
}

/// `eyrie token …`.
pub(super) async fn run(place: &Place, command: TokenCommand) -> CliResult {
    let backend = Backend::open(place, false).await?;
    match command {
        TokenCommand::Add { service, origin, days, can } => say(add(&backend, &service, &origin, days, can).await?),
        TokenCommand::List { project } => list(&backend, project).await?,
        TokenCommand::Rotate { token, days, overlap } => say(rotate(&backend, token, days, overlap).await?),
        TokenCommand::Revoke { token } => match &backend {
            Backend::Local { me, .. } => me.revoke_token(token).await?,
            Backend::Remote(remote) => remote.delete(&format!("tokens/{token}")).await?,
        },
    }
    backend.close().await;
    Ok(ExitCode::SUCCESS)
}

async fn add(backend: &Backend, service: &str, origin: &str, days: u16, can: Vec<TokenCapability>) -> CliResult<String> {
    let name = format!("deploy {service} from {origin}");
    match backend {
        Backend::Local { me, .. } => {
            let deployment = me.service_deployment(&ServiceName::new(service)?).await?;
            let new = NewServiceToken {
                name: DisplayName::new(name)?,
                target: ServiceTokenTarget::Deployment(deployment.id),
                capabilities: can.into_iter().collect(),
                origin: Origin::new(origin)?,
                days,
            };
            Ok(me.create_service_token(new).await?.0.reveal().to_owned())
        }
        Backend::Remote(remote) => {
            let deployment = remote.get(&format!("services/{service}/deployment")).await?;
            let target = json!({ "deployment": deployment["id"] });
            let body = json!({ "name": name, "target": target, "capabilities": can, "origin": origin, "days": days });
            secret_of(&remote.post("tokens", &body, None).await?)
        }
    }
}

async fn rotate(backend: &Backend, token: TokenId, days: Option<u16>, overlap_seconds: u64) -> CliResult<String> {
    match backend {
        Backend::Local { me, .. } => {
            let (secret, _) = me.rotate_token(token, TokenRotation { days, overlap_seconds }).await?;
            Ok(secret.reveal().to_owned())
        }
        Backend::Remote(remote) => {
            let body = json!({ "days": days, "overlap_seconds": overlap_seconds });
            secret_of(&remote.post(&format!("tokens/{token}/rotate"), &body, None).await?)
        }
    }
}

fn secret_of(made: &Value) -> CliResult<String> {
    Ok(made["secret"].as_str().ok_or("the server did not answer with a secret")?.to_owned())
}

async fn list(backend: &Backend, project: Option<ProjectId>) -> CliResult<()> {
    say(format_args!("{:<36}  {:<9}  {:<20}  {:<20}  name", "token", "kind", "until", "last used"));
    let mut after = None;
    loop {
        let page = match backend {
            Backend::Local { me, .. } => {
                let filter = TokenFilter { project, ..TokenFilter::default() };
                serde_json::to_value(me.tokens(filter, PageRequest::default().after(after)).await?)?
            }
            Backend::Remote(remote) => {
                let project = project.map(|project| format!("project={project}&")).unwrap_or_default();
                let after = after.map(|after| format!("after={after}")).unwrap_or_default();
                remote.get(&format!("tokens?{project}{after}")).await?
            }
        };
        for token in page["items"].as_array().into_iter().flatten() {
            let [id, kind, until, used, name] =
                ["id", "kind", "expires_at", "last_used_at", "name"].map(|key| printable(token[key].as_str().unwrap_or("-")));
            let until = if token["revoked_at"].is_null() { until } else { "revoked".into() };
            say(format_args!("{id:<36}  {kind:<9}  {until:<20.20}  {used:<20.20}  {name}"));
        }
        match page["next"].as_str() {
            Some(next) => after = Some(next.parse()?),
            None => return Ok(()),
        }
    }
}
