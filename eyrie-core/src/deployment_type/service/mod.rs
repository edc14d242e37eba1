//! Type `service`: a script that reports its steps, one JSON object a line.
//!
//! A service is a folder `services/<name>/` with a `config.json` and a script. The script is executed as
//! `<script> --config FILE` in a process group of its own; see the README of `examples/services` for the protocol.
//! Services directories of fastdeploy run unchanged.

mod config;
mod context_file;
mod directory;
mod output;
mod playbook;
mod protocol;
mod script;

use std::sync::Arc;

pub use config::ServiceConfig;
pub use directory::{FoundService, ServicesRoot};
pub use protocol::{Line, parse_line};
pub use script::{ScriptAction, ScriptOptions};

use serde_json::{Map, Value, json};

use crate::{
    deployment_type::{DeploymentType, PlanRequest},
    error::{Error, ErrorKind, Invalid, Result},
    model::{CrashPolicy, Plan, PlannedRelease, RetryPolicy, RunKind},
    name::{GroupType, StepName},
};

/// The name under which [`ScriptAction`] is registered.
pub const SCRIPT_ACTION: &str = "service.script";
/// The group type.
pub const GROUP_TYPE: &str = "service";
/// The most steps that a run is seeded with.
const MAX_EXPECTED: usize = 2000;

/// The deployment type `service`.
#[derive(Debug)]
pub struct ServiceType {
    root: Arc<ServicesRoot>,
    group_type: GroupType,
}

impl ServiceType {
    /// The type, with the folder below which all scripts must be.
    ///
    /// # Errors
    /// Never in practice: the group type's name is a constant.
    pub fn new(root: Arc<ServicesRoot>) -> Result<Self> {
        Ok(Self { root, group_type: GroupType::new(GROUP_TYPE)? })
    }

    /// The steps to expect: what the last successful run reported, else the config's, else the playbook's, else one unknown step.
    fn expected(&self, request: &PlanRequest<'_>, config: &ServiceConfig, name: &crate::name::ServiceName) -> Result<Vec<StepName>> {
        let mut steps = request.last_reported.to_vec();
        if steps.is_empty() {
            steps = config.expected_steps().to_vec();
        }
        if steps.is_empty()
            && let Some(playbook) = config.ansible_playbook()
        {
            steps = playbook::task_names(&self.root.resolve_playbook(name, playbook)?)?;
        }
        if steps.is_empty() {
            steps.push(StepName::new("Unknown step")?);
        }
        steps.truncate(MAX_EXPECTED);
        Ok(steps)
    }
}

impl DeploymentType for ServiceType {
    fn group_type(&self) -> &GroupType {
        &self.group_type
    }

    fn schema(&self) -> Value {
        // Settings of other names go to the script as they are.
        json!({
            "description": "Settings of a service. The script is given all of them.",
            "properties": {
                "timeout_seconds": {
                    "description": "How long the script may take; what the service's config says if missing.",
                    "type": "integer", "minimum": 1,
                },
            },
        })
    }

    fn plan(&self, request: &PlanRequest<'_>) -> Result<Plan> {
        let service = request.service.ok_or_else(|| Invalid::new("service_id", "a deployment of type service must name its service"))?;
        let config = ServiceConfig::parse(&service.config).map_err(|invalid| invalid.under("config"))?;
        let Some(script) = config.script(request.kind) else {
            let message = format!(
                "the service {} has no script for {}; name one in its config under scripts.{}",
                service.name, request.kind, request.kind
            );
            return Err(Error::new(ErrorKind::Unsupported, "plan", message));
        };
        let expected = self.expected(request, &config, &service.name)?;
        let sources = sources(request);
        let mut parameters = json!({
            "service": service.name,
            "script": script,
            "config": service.config,
            "expected": expected,
            "settings": request.settings.values(),
        });
        add(&mut parameters, &sources);
        let on_crash = if config.needs_operator_after_crash() { CrashPolicy::NeedsOperator } else { CrashPolicy::Rerun };
        let time_limit = match request.settings.get("timeout_seconds") {
            Some(value) => Some(
                value
                    .as_u64()
                    .filter(|seconds| *seconds > 0)
                    .ok_or_else(|| Invalid::new("settings.timeout_seconds", "must be a whole number of seconds from 1"))?,
            ),
            None => config.timeout_seconds(),
        };
        let retry = RetryPolicy::exponential(config.max_attempts(), std::time::Duration::from_secs(1));
        let plan = Plan::builder().step(script_step(request.kind), SCRIPT_ACTION, |step| {
            let step = step.parameters(parameters).retry(retry).on_crash(on_crash);
            match time_limit {
                Some(seconds) => step.timeout_seconds(seconds),
                None => step,
            }
        });
        let plan = match request.kind {
            RunKind::Deploy | RunKind::Rollback => {
                let mut release = json!({
                    "service": service.name,
                    "config": service.config,
                    "context": request.context,
                    "settings": request.settings.values(),
                });
                add(&mut release, &sources);
                plan.release(PlannedRelease { config: release, leaves_running: config.leaves_running() })
            }
            _ => plan,
        };
        plan.build()
    }
}

/// What the deployment is made from, as far as it says so: `branch` with its `name` and `commit`, `image` with its `reference` and
/// `digest`.
fn sources(request: &PlanRequest<'_>) -> Map<String, Value> {
    let mut sources = Map::new();
    if let Some(branch) = request.branch {
        let commit = branch.head.as_ref().map(|head| &head.commit);
        sources.insert("branch".to_owned(), json!({ "name": branch.name, "commit": commit }));
    }
    if let Some(image) = request.image {
        let digest = image.current.as_ref().map(|current| &current.digest);
        sources.insert("image".to_owned(), json!({ "reference": image.reference, "digest": digest }));
    }
    sources
}

fn add(to: &mut Value, sources: &Map<String, Value>) {
    if let Some(fields) = to.as_object_mut() {
        fields.extend(sources.clone());
    }
}

fn script_step(kind: RunKind) -> String {
    format!("{kind} script")
}
