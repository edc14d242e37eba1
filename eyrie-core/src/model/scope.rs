//! Scopes: the environments of a group.

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    error::Invalid,
    id::{DatasourceId, GroupId, ScopeId},
    model::{Settings, SettingsPatch, patch::given},
    name::{DisplayName, Slug},
};

/// An environment profile inside a group: production, staging …
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scope {
    /// The scope's id.
    pub id: ScopeId,
    /// The group it stands in.
    pub group_id: GroupId,
    /// Unique within the group.
    pub slug: Slug,
    /// Its name for people.
    pub name: DisplayName,
    /// Settings that go before the group's.
    pub settings: Settings,
    /// Where its deployments' backups go.
    pub backup_dest_datasource_id: Option<DatasourceId>,
    /// Monitor logs older than this many seconds are deleted.
    pub monitor_log_delete_after_seconds: Option<u64>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Grows at every change.
    pub version: u64,
}

/// What a new scope needs.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewScope {
    /// Unique within the group.
    pub slug: Slug,
    /// Its name for people; the slug if missing.
    #[serde(default)]
    pub name: Option<DisplayName>,
    /// Settings that go before the group's.
    #[serde(default)]
    pub settings: Settings,
    /// Where its deployments' backups go: a datasource of the project, or of the operators, of usage `remote_backup`.
    #[serde(default)]
    pub backup_dest_datasource_id: Option<DatasourceId>,
    /// Monitor logs older than this many seconds are deleted.
    #[serde(default)]
    pub monitor_log_delete_after_seconds: Option<u64>,
}

impl NewScope {
    /// A scope with this slug and nothing else said.
    ///
    /// # Errors
    /// [`Invalid`] when `slug` is no DNS label.
    pub fn new(slug: impl Into<String>) -> Result<Self, Invalid> {
        Ok(Self {
            slug: Slug::new(slug)?,
            name: None,
            settings: Settings::default(),
            backup_dest_datasource_id: None,
            monitor_log_delete_after_seconds: None,
        })
    }
}

/// What to change of a scope; what is missing stays.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScopePatch {
    /// Its name for people.
    #[serde(default, deserialize_with = "given")]
    pub name: Option<DisplayName>,
    /// Settings, as a whole.
    #[serde(default, deserialize_with = "given")]
    pub settings: Option<Settings>,
    /// Single settings; null: inherited again. Instead of `settings`.
    #[serde(default, deserialize_with = "given")]
    pub settings_patch: Option<SettingsPatch>,
    /// Where its deployments' backups go; null: nowhere any more.
    #[serde(default, deserialize_with = "given")]
    pub backup_dest_datasource_id: Option<Option<DatasourceId>>,
    /// Monitor logs older than this many seconds are deleted; null: as by default.
    #[serde(default, deserialize_with = "given")]
    pub monitor_log_delete_after_seconds: Option<Option<u64>>,
}
