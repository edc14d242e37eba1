//! Deployment types: how the settings of a deployment become a plan.

mod schema;
#[cfg(feature = "process")]
pub mod service;

pub use schema::SettingsSchema;

use std::fmt::Debug;

use serde_json::{Value, json};

use crate::{
    error::Result,
    model::{Branch, Deployment, EffectiveSettings, Image, Plan, RunKind, Service, Settings},
    name::{GroupType, StepName},
};

/// Everything that a plan is made of.
#[derive(Debug, Clone, Copy)]
pub struct PlanRequest<'a> {
    /// What is to be deployed.
    pub deployment: &'a Deployment,
    /// What the run is for.
    pub kind: RunKind,
    /// The deployment's settings, all levels resolved.
    pub settings: &'a EffectiveSettings,
    /// The service that it deploys, if it names one.
    pub service: Option<&'a Service>,
    /// The branch that it is deployed from, with its newest commit, if it follows one.
    pub branch: Option<&'a Branch>,
    /// The image that it runs, with its digest, if it names one.
    pub image: Option<&'a Image>,
    /// What the asker passed along.
    pub context: &'a Value,
    /// The names of the steps that the last successful run of the same kind reported, in order.
    pub last_reported: &'a [StepName],
}

/// Turns (effective deployment, run kind) into a plan. Pure: the same request makes the same plan.
pub trait DeploymentType: Debug + Send + Sync + 'static {
    /// The group type that it is for.
    fn group_type(&self) -> &GroupType;

    /// The built-in defaults of its settings.
    fn defaults(&self) -> Settings {
        Settings::default()
    }

    /// The JSON schema of its settings, all levels resolved: what may be set, and what has to be there for a deploy. Any settings if it
    /// says nothing. The settings that every type has (`queue_policy` …) need not be in it. Asked for once, when the platform starts.
    fn schema(&self) -> Value {
        json!({})
    }

    /// The plan. The settings fit the schema.
    ///
    /// # Errors
    /// `Invalid` names the setting or config field that is not acceptable; `Unsupported` when it cannot do a run of that kind.
    fn plan(&self, request: &PlanRequest<'_>) -> Result<Plan>;
}
