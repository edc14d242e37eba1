//! Repositories: where the source of what is deployed is kept.

use serde::{Deserialize, Serialize};

use crate::{
    address::GitUrl,
    clock::Timestamp,
    id::{ProjectId, RepositoryId, SecretId},
    model::patch::given,
    name::{DisplayName, GroupType, Slug},
};

/// A git repository. One that belongs to no project is the operators': everybody may read it and deploy from it, and only operators
/// change it.
///
/// It is not deleted while an image names it, or a deployment one of its branches; else its branches go with it. A project is not
/// deleted while it has repositories.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Repository {
    /// The repository's id.
    pub id: RepositoryId,
    /// The project that it belongs to; none: the operators.
    pub project_id: Option<ProjectId>,
    /// Unique within the project, or among the operators'.
    pub slug: Slug,
    /// Its name for people.
    pub name: DisplayName,
    /// Where it is.
    pub url: GitUrl,
    /// The only type of groups whose deployments may follow it; none: all.
    pub group_type: Option<GroupType>,
    /// The secret that opens it, one of the same project.
    pub credentials_secret_id: Option<SecretId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Grows at every change.
    pub version: u64,
}

/// What a new repository needs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRepository {
    /// The project that it belongs to; the operators if missing.
    #[serde(default)]
    pub project_id: Option<ProjectId>,
    /// Unique within the project, or among the operators'.
    pub slug: Slug,
    /// Its name for people; the slug if missing.
    #[serde(default)]
    pub name: Option<DisplayName>,
    /// Where it is.
    pub url: GitUrl,
    /// The only type of groups whose deployments may follow it; all if missing.
    #[serde(default)]
    pub group_type: Option<GroupType>,
    /// The secret that opens it, one of the same project.
    #[serde(default)]
    pub credentials_secret_id: Option<SecretId>,
}

impl NewRepository {
    /// A repository of the operators with nothing else said.
    #[must_use]
    pub const fn new(slug: Slug, url: GitUrl) -> Self {
        Self { project_id: None, slug, name: None, url, group_type: None, credentials_secret_id: None }
    }
}

/// What to change of a repository; what is missing stays, and null takes off what need not be there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepositoryPatch {
    /// Its name for people.
    #[serde(default, deserialize_with = "given")]
    pub name: Option<DisplayName>,
    /// Where it is. On another host the credentials must be named anew, or taken off: they would be sent there.
    #[serde(default, deserialize_with = "given")]
    pub url: Option<GitUrl>,
    /// The only type of groups whose deployments may follow it. Deployments that follow it already stay as they are.
    #[serde(default, deserialize_with = "given")]
    pub group_type: Option<Option<GroupType>>,
    /// The secret that opens it.
    #[serde(default, deserialize_with = "given")]
    pub credentials_secret_id: Option<Option<SecretId>>,
}
