//! One set of commands against two places: the store itself, or a server over HTTP.

use std::time::Duration;

use eyrie_core::{
    Acting, Eyrie, Timestamp,
    deployment_type::service::ScriptOptions,
    engine::WorkerOptions,
    id::RunId,
    model::Principal,
    name::{ServiceName, UserName},
    platform::{NewUser, RunStream, StartRun},
    store::{PageRequest, QueueOf, RunFilter},
};
use eyrie_portal::Decision;
use serde_json::{Value, json};

use super::{
    CliResult, Place,
    local::{self, Role},
    remote::{EventLines, Remote},
};

/// Where commands go.
pub(super) enum Backend {
    Local { eyrie: Eyrie, me: Acting },
    Remote(Remote),
}

/// What there is to say about a deploy.
#[derive(Debug, Default)]
pub(super) struct Deploy {
    /// What to pass to the script.
    pub(super) env: Value,
    /// When it may begin, at the earliest.
    pub(super) not_before: Option<Timestamp>,
    /// A key against starting it twice.
    pub(super) key: Option<String>,
}

/// A run's events, as JSON.
pub(super) enum Events {
    Local(Box<RunStream>),
    Remote(Box<EventLines>),
}

impl Events {
    pub(super) async fn next(&mut self) -> CliResult<Option<Value>> {
        match self {
            Self::Local(stream) => match stream.next().await {
                Ok(event) => Ok(event.map(|event| serde_json::to_value(&*event)).transpose()?),
                Err(error) => match error.pruned() {
                    Some(pruned) => Ok(Some(json!({ "type": "pruned", "first": pruned.first }))),
                    None => Err(error.into()),
                },
            },
            Self::Remote(lines) => lines.next().await,
        }
    }
}

impl Backend {
    /// Opens the place. With `works`, a local one also executes runs, for a command that waits for one.
    pub(super) async fn open(place: &Place, works: bool) -> CliResult<Self> {
        if let Some(server) = &place.server {
            return Ok(Self::Remote(Remote::new(server)?));
        }
        let options = WorkerOptions { shutdown_grace: Duration::from_secs(60), ..WorkerOptions::default() };
        let role = if works { Role::Worker(options) } else { Role::Looker };
        let eyrie = local::open(place, role, None, ScriptOptions::default()).await?;
        let me = eyrie.acting_as(Principal::local_operator());
        Ok(Self::Local { eyrie, me })
    }

    /// Ends in an orderly way.
    pub(super) async fn close(self) {
        if let Self::Local { eyrie, .. } = self {
            eyrie.shutdown().await;
        }
    }

    pub(super) async fn deploy(&self, service: &str, deploy: Deploy) -> CliResult<RunId> {
        let Deploy { env, not_before, key } = deploy;
        let context = json!({ "env": env });
        match self {
            Self::Local { me, .. } => {
                let deployment = me.service_deployment(&ServiceName::new(service)?).await?;
                Ok(me.start_run(deployment.id, StartRun { context, not_before, request_key: key, ..StartRun::default() }).await?.id)
            }
            Self::Remote(remote) => {
                let run = remote
                    .post(&format!("services/{service}/runs"), &json!({ "context": context, "not_before": not_before }), key.as_deref())
                    .await?;
                Ok(run["id"].as_str().unwrap_or_default().parse()?)
            }
        }
    }

    /// The run's events behind that number.
    pub(super) async fn follow(&self, run: RunId, after: u64) -> CliResult<Events> {
        match self {
            Self::Local { me, .. } => Ok(Events::Local(Box::new(me.follow_run(run, after).await?))),
            Self::Remote(remote) => Ok(Events::Remote(Box::new(remote.events(run, after)))),
        }
    }

    pub(super) async fn run(&self, run: RunId) -> CliResult<Value> {
        match self {
            Self::Local { me, .. } => Ok(serde_json::to_value(me.run(run).await?)?),
            Self::Remote(remote) => remote.get(&format!("runs/{run}")).await,
        }
    }

    pub(super) async fn runs(&self, service: Option<&str>, limit: u32) -> CliResult<Value> {
        match self {
            Self::Local { me, .. } => {
                let mut filter = RunFilter::default();
                if let Some(service) = service {
                    filter.deployment = Some(me.service_deployment(&ServiceName::new(service)?).await?.id);
                }
                Ok(serde_json::to_value(me.runs(filter, PageRequest::first(limit)?).await?)?)
            }
            Self::Remote(remote) => match service {
                Some(service) => remote.get(&format!("services/{service}/runs?limit={limit}")).await,
                None => remote.get(&format!("runs?limit={limit}")).await,
            },
        }
    }

    /// The deployment's name, where it may be read.
    pub(super) async fn deployment_name(&self, deployment: &str) -> Option<String> {
        match self {
            Self::Local { me, .. } => Some(me.deployment(deployment.parse().ok()?).await.ok()?.deployment.name.to_string()),
            Self::Remote(remote) => {
                let view = remote.get(&format!("deployments/{deployment}")).await.ok()?;
                Some(view["name"].as_str()?.to_owned())
            }
        }
    }

    /// Where the run stands.
    pub(super) async fn queue_place(&self, run: RunId) -> CliResult<Value> {
        match self {
            Self::Local { me, .. } => Ok(serde_json::to_value(me.queue_place(run).await?)?),
            Self::Remote(remote) => remote.get(&format!("runs/{run}/queue")).await,
        }
    }

    /// The runs of the service that have not ended.
    pub(super) async fn queue(&self, service: &str, limit: u32) -> CliResult<Value> {
        match self {
            Self::Local { me, .. } => {
                let deployment = me.service_deployment(&ServiceName::new(service)?).await?;
                Ok(serde_json::to_value(me.queue(QueueOf::Deployment(deployment.id), PageRequest::first(limit)?).await?)?)
            }
            Self::Remote(remote) => {
                let deployment = remote.get(&format!("services/{service}/deployment")).await?;
                let id = deployment["id"].as_str().unwrap_or_default();
                remote.get(&format!("deployments/{id}/queue?limit={limit}")).await
            }
        }
    }

    /// Answers with the run.
    pub(super) async fn decide(&self, run: RunId, decision: Decision, reason: &str) -> CliResult<Value> {
        match self {
            Self::Local { me, .. } => Ok(serde_json::to_value(decision.carry_out(me, run, reason).await?)?),
            Self::Remote(remote) => remote.post(&decision.route(run), &json!({ "reason": reason }), None).await,
        }
    }

    /// Answers with the new run.
    pub(super) async fn rerun(&self, run: RunId, key: Option<String>) -> CliResult<RunId> {
        match self {
            Self::Local { me, .. } => Ok(me.rerun_run(run, key).await?.id),
            Self::Remote(remote) => {
                let run = remote.post(&format!("runs/{run}/rerun"), &json!({}), key.as_deref()).await?;
                Ok(run["id"].as_str().unwrap_or_default().parse()?)
            }
        }
    }

    /// The approvals that the run waits for.
    pub(super) async fn approvals(&self, run: RunId) -> CliResult<Vec<Value>> {
        let listed = match self {
            Self::Local { me, .. } => serde_json::to_value(me.open_approvals(run).await?)?,
            Self::Remote(remote) => remote.get(&format!("runs/{run}/approvals")).await?["items"].take(),
        };
        Ok(serde_json::from_value(listed)?)
    }

    /// The log from behind `offset`, and where to go on.
    pub(super) async fn log(&self, run: RunId, offset: u64) -> CliResult<(String, u64)> {
        match self {
            Self::Local { me, .. } => {
                let piece = me.run_log(run, offset, 1024 * 1024).await?;
                Ok((piece.text(), piece.end))
            }
            Self::Remote(remote) => remote.log(run, offset).await,
        }
    }

    pub(super) async fn sync(&self) -> CliResult<Value> {
        match self {
            Self::Local { me, .. } => Ok(serde_json::to_value(me.sync_services().await?)?),
            Self::Remote(remote) => remote.post("services/sync", &json!({}), None).await,
        }
    }

    pub(super) async fn add_user(&self, name: &str, password: String, operator: bool) -> CliResult<()> {
        match self {
            Self::Local { me, .. } => {
                drop(me.create_user(NewUser { name: UserName::new(name)?, password: Some(password), operator }).await?)
            }
            Self::Remote(remote) => {
                drop(remote.post("users", &json!({ "name": name, "password": password, "operator": operator }), None).await?);
            }
        }
        Ok(())
    }
}
