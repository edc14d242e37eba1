//! Container images, and what their tags mean now.

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    id::{ImageId, ProjectId, RepositoryId},
    model::patch::given,
    oci::{ImageDigest, ImageReference},
};

/// An image by registry, repository and tag. One that belongs to no project is the operators': everybody may read it and run it, and
/// only operators change it. Its reference is what it is, so that it never changes.
///
/// It is not deleted while a deployment runs it. A project is not deleted while it has images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Image {
    /// The image's id.
    pub id: ImageId,
    /// The project that it belongs to; none: the operators.
    pub project_id: Option<ProjectId>,
    /// The repository that it is built from.
    pub repository_id: Option<RepositoryId>,
    /// Unique within the project, or among the operators'.
    pub reference: ImageReference,
    /// What the reference means, as far as it is known.
    pub current: Option<RecordedDigest>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Grows at every change.
    pub version: u64,
}

/// A digest that became known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordedDigest {
    /// The digest.
    pub digest: ImageDigest,
    /// When somebody said so, by the store's clock.
    pub recorded_at: Timestamp,
}

/// What a new image needs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewImage {
    /// The project that it belongs to; the operators if missing.
    #[serde(default)]
    pub project_id: Option<ProjectId>,
    /// The repository that it is built from: one of the same project, or of the operators'.
    #[serde(default)]
    pub repository_id: Option<RepositoryId>,
    /// Registry, repository and tag.
    pub reference: ImageReference,
    /// What the reference means, if it is known.
    #[serde(default)]
    pub digest: Option<ImageDigest>,
}

impl NewImage {
    /// An image of the operators with nothing else said.
    #[must_use]
    pub const fn new(reference: ImageReference) -> Self {
        Self { project_id: None, repository_id: None, reference, digest: None }
    }
}

/// What to change of an image; what is missing stays, and null takes off what need not be there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImagePatch {
    /// The repository that it is built from.
    #[serde(default, deserialize_with = "given")]
    pub repository_id: Option<Option<RepositoryId>>,
}
