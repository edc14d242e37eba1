//! Container images.

use async_trait::async_trait;

use crate::{
    error::Result,
    id::{ImageId, ProjectId, RepositoryId},
    model::{AuditEntry, Image},
    oci::ImageDigest,
    store::{Enqueue, Enqueued, Page, PageRequest},
};

/// Which images to list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImageFilter {
    /// Those of this project; none: the operators'.
    pub owner: Option<ProjectId>,
    /// Those that are built from this repository.
    pub repository: Option<RepositoryId>,
}

/// Another digest of an image, and what follows from it.
#[derive(Debug, Clone)]
pub struct ImageMove {
    /// The image.
    pub image: ImageId,
    /// As of this version.
    pub version: u64,
    /// What its reference means now.
    pub digest: ImageDigest,
    /// The runs to queue.
    pub runs: Vec<Enqueue>,
    /// Who said so.
    pub audit: AuditEntry,
}

/// A branch or image that has moved, and what became of the runs.
#[derive(Debug, Clone)]
pub struct Moved<T> {
    /// As it is now.
    pub now: T,
    /// The runs, in the order in which they were given.
    pub queued: Vec<Enqueued>,
}

/// Keeps images.
#[async_trait]
pub trait ImageStore {
    /// Keeps a new image; its reference must be free in its project, or among the operators'.
    async fn create_image(&self, image: &Image, audit: &AuditEntry) -> Result<()>;
    /// The image of that id.
    async fn image(&self, id: ImageId) -> Result<Image>;
    /// Images in the order of their making.
    async fn images(&self, filter: ImageFilter, page: PageRequest) -> Result<Page<Image>>;
    /// Replaces which repository the image is built from if the stored version is `image.version`; the stored version then is one
    /// more.
    async fn update_image(&self, image: &Image, audit: &AuditEntry) -> Result<()>;
    /// Records another digest by the store's clock and queues the runs, in one transaction; the stored version then is one more.
    /// `Conflict` when the image has another version by now, `NotFound` when it is gone, or a deployment of a run is: nothing is
    /// recorded or queued then.
    async fn move_image(&self, to: &ImageMove) -> Result<Moved<Image>>;
    /// Deletes the image. `Conflict` while a deployment runs it.
    async fn delete_image(&self, id: ImageId, audit: &AuditEntry) -> Result<()>;
}
