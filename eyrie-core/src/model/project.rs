//! Projects and their namespaces.

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    error::Invalid,
    id::{ProjectId, UserId},
    model::{Settings, SettingsPatch, patch::given, uid::uid},
    name::{DisplayName, Slug},
};

uid! {
    /// The short, immutable identity of a namespace: eight characters of a-z and 2-7, random.
    NamespaceUid = "namespace_uid"
}

/// The isolation of one project. Never shared, also when a slug is used again after deletion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Namespace {
    /// Its immutable identity.
    pub uid: NamespaceUid,
    /// Its name in a cluster: `{slug}-{uid}`, a DNS label.
    pub name: Slug,
}

impl Namespace {
    /// A new namespace for a project with this slug.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn for_slug(slug: &Slug) -> crate::error::Result<Self> {
        let uid = NamespaceUid::random()?;
        Ok(Self { name: slug.qualified(uid.as_str()), uid })
    }
}

/// The top-level unit: everything else stands below one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Project {
    /// The project's id.
    pub id: ProjectId,
    /// Its unique, DNS-safe name.
    pub slug: Slug,
    /// Its name for people.
    pub name: DisplayName,
    /// Its owner, who is always admin; none: the operators.
    pub owner_id: Option<UserId>,
    /// Its isolation.
    pub namespace: Namespace,
    /// Settings that groups and deployments inherit.
    pub settings: Settings,
    /// When it was made.
    pub created_at: Timestamp,
    /// Grows at every change.
    pub version: u64,
}

/// What a new project needs.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewProject {
    /// Its unique, DNS-safe name.
    pub slug: Slug,
    /// Its name for people; the slug if missing.
    #[serde(default)]
    pub name: Option<DisplayName>,
    /// Settings that groups and deployments inherit.
    #[serde(default)]
    pub settings: Settings,
}

impl NewProject {
    /// A project with this slug and nothing else said.
    ///
    /// # Errors
    /// [`Invalid`] when `slug` is no DNS label.
    pub fn new(slug: impl Into<String>) -> Result<Self, Invalid> {
        Ok(Self { slug: Slug::new(slug)?, name: None, settings: Settings::default() })
    }
}

/// What to change of a project; what is missing stays.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProjectPatch {
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
