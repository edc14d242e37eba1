//! Deployments: the running instances of a group.

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    error::Invalid,
    id::{DeploymentId, GroupId, ProjectId, ScopeId, ServiceId},
    model::Settings,
    name::{DisplayName, Slug},
};

/// One instance in a group. Inherits settings field by field.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Deployment {
    /// The deployment's id.
    pub id: DeploymentId,
    /// The project it belongs to.
    pub project_id: ProjectId,
    /// The group it stands in.
    pub group_id: GroupId,
    /// Unique within the group.
    pub slug: Slug,
    /// Its name for people.
    pub name: DisplayName,
    /// Its environment.
    pub scope_id: Option<ScopeId>,
    /// The service it deploys, for type `service`.
    pub service_id: Option<ServiceId>,
    /// Its own settings, which go before all others.
    pub settings: Settings,
    /// When it was made.
    pub created_at: Timestamp,
    /// Grows at every change.
    pub version: u64,
}

/// What a new deployment needs.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewDeployment {
    /// Unique within the group.
    pub slug: Slug,
    /// Its name for people; the slug if missing.
    #[serde(default)]
    pub name: Option<DisplayName>,
    /// Its environment, a scope of the same group.
    #[serde(default)]
    pub scope_id: Option<ScopeId>,
    /// The service it deploys, one of the same project.
    #[serde(default)]
    pub service_id: Option<ServiceId>,
    /// Its own settings.
    #[serde(default)]
    pub settings: Settings,
}

impl NewDeployment {
    /// A deployment with this slug and nothing else said.
    ///
    /// # Errors
    /// [`Invalid`] when `slug` is no DNS label.
    pub fn new(slug: impl Into<String>) -> Result<Self, Invalid> {
        Ok(Self { slug: Slug::new(slug)?, name: None, scope_id: None, service_id: None, settings: Settings::default() })
    }
}

/// What to change of a deployment; what is missing stays.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeploymentPatch {
    /// Its name for people.
    #[serde(default)]
    pub name: Option<DisplayName>,
    /// Its environment.
    #[serde(default)]
    pub scope_id: Option<ScopeId>,
    /// Its own settings, as a whole.
    #[serde(default)]
    pub settings: Option<Settings>,
}
