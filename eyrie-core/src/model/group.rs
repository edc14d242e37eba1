//! Deployment groups.

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    error::Invalid,
    id::{GroupId, ProjectId},
    model::{Settings, SettingsPatch, patch::given},
    name::{DisplayName, GroupType, Slug},
};

/// Deployments of one type, with settings that they inherit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeploymentGroup {
    /// The group's id.
    pub id: GroupId,
    /// The project it stands in.
    pub project_id: ProjectId,
    /// Unique within the project.
    pub slug: Slug,
    /// Its name for people.
    pub name: DisplayName,
    /// What its deployments are.
    pub group_type: GroupType,
    /// Settings that deployments inherit.
    pub settings: Settings,
    /// When it was made.
    pub created_at: Timestamp,
    /// Grows at every change.
    pub version: u64,
}

/// What a new group needs.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewGroup {
    /// Unique within the project.
    pub slug: Slug,
    /// Its name for people; the slug if missing.
    #[serde(default)]
    pub name: Option<DisplayName>,
    /// What its deployments are.
    pub group_type: GroupType,
    /// Settings that deployments inherit.
    #[serde(default)]
    pub settings: Settings,
}

impl NewGroup {
    /// A group of this slug and type with nothing else said.
    ///
    /// # Errors
    /// [`Invalid`] names the field that is not acceptable.
    pub fn new(slug: impl Into<String>, group_type: impl Into<String>) -> Result<Self, Invalid> {
        Ok(Self { slug: Slug::new(slug)?, name: None, group_type: GroupType::new(group_type)?, settings: Settings::default() })
    }
}

/// What to change of a group; what is missing stays.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupPatch {
    /// Its name for people.
    #[serde(default, deserialize_with = "given")]
    pub name: Option<DisplayName>,
    /// Settings, as a whole.
    #[serde(default, deserialize_with = "given")]
    pub settings: Option<Settings>,
    /// Single settings; null: inherited again. Instead of `settings`.
    #[serde(default, deserialize_with = "given")]
    pub settings_patch: Option<SettingsPatch>,
}
