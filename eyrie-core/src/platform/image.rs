//! Images, and the digests that become known of them.

use crate::{
    access::Permission,
    error::{Error, ErrorKind, Invalid, Result, known},
    id::{ImageId, ProjectId, RepositoryId},
    model::{Image, ImagePatch, NewImage, RecordedDigest},
    oci::ImageDigest,
    platform::{
        Acting,
        redeploy::{ATTEMPTS, Following, Recorded},
    },
    store::{DeploymentFilter, ImageFilter, ImageMove, Page, PageRequest},
};

impl Acting {
    /// Adds an image to a project, or to what is the operators'.
    ///
    /// # Errors
    /// `AlreadyExists` when the reference is taken there; `Invalid` when the repository belongs elsewhere; `NotFound` for a project that
    /// the principal may not read.
    pub async fn create_image(&self, new: NewImage) -> Result<Image> {
        self.require_to_own(Permission::ImageCreate, &format!("image {}", new.reference), new.project_id).await?;
        if let Some(repository) = new.repository_id {
            self.check_repository(repository, new.project_id).await?;
        }
        let now = self.now();
        let image = Image {
            id: ImageId::new(),
            project_id: new.project_id,
            repository_id: new.repository_id,
            reference: new.reference,
            current: new.digest.map(|digest| RecordedDigest { digest, recorded_at: now }),
            created_at: now,
            version: 1,
        };
        let audit = self.allowed(Permission::ImageCreate.as_str(), format!("image {}", image.id), image.project_id);
        self.store().create_image(&image, &audit).await?;
        Ok(image)
    }

    /// The image of that id.
    ///
    /// # Errors
    /// `NotFound`, also for what the principal may not read.
    pub async fn image(&self, id: ImageId) -> Result<Image> {
        self.image_for(id, Permission::ProjectRead).await
    }

    /// A project's images, or the operators', in the order of their making.
    ///
    /// # Errors
    /// `NotFound` for a project that the principal may not read.
    pub async fn images(&self, filter: ImageFilter, page: PageRequest) -> Result<Page<Image>> {
        self.require_list_of(filter.owner, "image").await?;
        self.store().images(filter, page).await
    }

    /// Changes an image that still has the version that was read.
    ///
    /// # Errors
    /// `Conflict` when it has changed since; `Invalid` when the repository belongs elsewhere.
    pub async fn update_image(&self, id: ImageId, version: u64, patch: ImagePatch) -> Result<Image> {
        let mut image = self.image_for(id, Permission::ImageUpdate).await?;
        if let Some(Some(repository)) = patch.repository_id {
            self.check_repository(repository, image.project_id).await?;
        }
        image.version = version;
        image.repository_id = patch.repository_id.unwrap_or(image.repository_id);
        let audit = self.allowed(Permission::ImageUpdate.as_str(), format!("image {id}"), image.project_id);
        self.store().update_image(&image, &audit).await?;
        image.version += 1;
        Ok(image)
    }

    /// Says what the digest of an image is. Deployments that run the image, and are to be redeployed when it moves, are queued in the
    /// same transaction, each within the rights of whoever said that it is to be; a redeploy for an earlier digest that still waits is
    /// superseded. The digest that is known already changes nothing.
    ///
    /// # Errors
    /// `NotFound`, also for what the principal may not read; `Conflict` when others kept moving the image at the same time.
    pub async fn record_image_digest(&self, id: ImageId, digest: ImageDigest) -> Result<Recorded<Image>> {
        for _ in 0..ATTEMPTS {
            let image = self.image_for(id, Permission::ImageRecord).await?;
            if image.current.as_ref().is_some_and(|current| current.digest == digest) {
                return Ok(Recorded { now: image, redeploys: Vec::new() });
            }
            let current = Some(RecordedDigest { digest: digest.clone(), recorded_at: self.now() });
            let following = Following {
                cause: format!("image {}", image.reference),
                why: format!("image {} is {digest}", image.reference),
                branch: None,
                image: Some(Image { current, ..image.clone() }),
            };
            let filter = DeploymentFilter { image: Some(id), ..DeploymentFilter::default() };
            let planned = self.redeploys(filter, &following).await?;
            let mut audit = self.allowed(Permission::ImageRecord.as_str(), format!("image {id}"), image.project_id);
            let before = image.current.map_or_else(|| "none".to_owned(), |current| current.digest.to_string());
            audit.reason = format!("{digest} after {before}; redeploys: {}", planned.runs.len());
            let to = ImageMove { image: id, version: image.version, digest: digest.clone(), runs: planned.runs, audit };
            let done = self.store().move_image(&to).await;
            if let Some(recorded) = self.recorded(done, planned.redeploys).await? {
                return Ok(recorded);
            }
        }
        Err(Error::new(ErrorKind::Conflict, "record digest", "the image kept changing meanwhile"))
    }

    /// Deletes an image.
    ///
    /// # Errors
    /// `Conflict` while a deployment runs it.
    pub async fn delete_image(&self, id: ImageId) -> Result<()> {
        let image = self.image_for(id, Permission::ImageDelete).await?;
        let audit = self.allowed(Permission::ImageDelete.as_str(), format!("image {id}"), image.project_id);
        self.store().delete_image(id, &audit).await
    }

    async fn image_for(&self, id: ImageId, permission: Permission) -> Result<Image> {
        let image = self.store().image(id).await?;
        self.require_owned(permission, "image", id.uuid(), image.project_id).await?;
        Ok(image)
    }

    /// Refuses a repository of another project.
    async fn check_repository(&self, repository: RepositoryId, project: Option<ProjectId>) -> Result<()> {
        let known = known(self.store().repository(repository).await)?;
        if known.is_some_and(|known| known.project_id.is_none() || known.project_id == project) {
            return Ok(());
        }
        Err(Invalid::new("repository_id", "there is no such repository in the project, nor one of the operators").into())
    }
}
