//! Deployments: the running instances of a group.

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    error::Invalid,
    id::{BranchId, DeploymentId, GroupId, ImageId, ProjectId, ScopeId, ServiceId},
    model::{PrincipalRef, Settings, SettingsPatch, patch::given},
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
    /// The branch that it is deployed from.
    pub branch_id: Option<BranchId>,
    /// The image that it runs.
    pub image_id: Option<ImageId>,
    /// Whether it is deployed again when another commit of its branch becomes known.
    pub redeploy_on_commit: bool,
    /// Whether it is deployed again when another digest of its image becomes known.
    pub redeploy_on_digest: bool,
    /// Who said so: such runs are within the rights that they have at each time.
    pub redeploy_for: Option<PrincipalRef>,
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
    /// The branch that it is deployed from: of a repository of the same project, or of the operators'.
    #[serde(default)]
    pub branch_id: Option<BranchId>,
    /// The image that it runs: one of the same project, or of the operators'.
    #[serde(default)]
    pub image_id: Option<ImageId>,
    /// Whether it is deployed again when another commit of its branch becomes known.
    #[serde(default)]
    pub redeploy_on_commit: bool,
    /// Whether it is deployed again when another digest of its image becomes known.
    #[serde(default)]
    pub redeploy_on_digest: bool,
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
        Ok(Self {
            slug: Slug::new(slug)?,
            name: None,
            scope_id: None,
            service_id: None,
            branch_id: None,
            image_id: None,
            redeploy_on_commit: false,
            redeploy_on_digest: false,
            settings: Settings::default(),
        })
    }
}

/// What to change of a deployment; what is missing stays, and null takes off what need not be there.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeploymentPatch {
    /// Its name for people.
    #[serde(default, deserialize_with = "given")]
    pub name: Option<DisplayName>,
    /// Its environment.
    #[serde(default, deserialize_with = "given")]
    pub scope_id: Option<Option<ScopeId>>,
    /// The service it deploys.
    #[serde(default, deserialize_with = "given")]
    pub service_id: Option<Option<ServiceId>>,
    /// The branch that it is deployed from.
    #[serde(default, deserialize_with = "given")]
    pub branch_id: Option<Option<BranchId>>,
    /// The image that it runs.
    #[serde(default, deserialize_with = "given")]
    pub image_id: Option<Option<ImageId>>,
    /// Whether it is deployed again when another commit of its branch becomes known. Whoever changes this, or what it follows, answers
    /// for those runs.
    #[serde(default, deserialize_with = "given")]
    pub redeploy_on_commit: Option<bool>,
    /// The same for another digest of its image.
    #[serde(default, deserialize_with = "given")]
    pub redeploy_on_digest: Option<bool>,
    /// Its own settings, as a whole.
    #[serde(default, deserialize_with = "given")]
    pub settings: Option<Settings>,
    /// Single settings; null: inherited again. Instead of `settings`.
    #[serde(default, deserialize_with = "given")]
    pub settings_patch: Option<SettingsPatch>,
}
