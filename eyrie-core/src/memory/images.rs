//! Container images.

use async_trait::async_trait;

use super::{
    MemoryStore,
    state::{free, get, need, oldest_first, same_version, unused},
};
use crate::{
    error::Result,
    id::ImageId,
    model::{AuditEntry, Image, RecordedDigest},
    store::{ImageFilter, ImageMove, ImageStore, Moved, Page, PageRequest},
};

#[async_trait]
impl ImageStore for MemoryStore {
    async fn create_image(&self, image: &Image, audit: &AuditEntry) -> Result<()> {
        const OPERATION: &str = "create image";
        let mut state = self.state();
        free(state.images.keys(), OPERATION, "there is an image of that id", |id| *id == image.id)?;
        image.project_id.map_or(Ok(()), |project| need(&state.projects, project, "project"))?;
        image.repository_id.map_or(Ok(()), |repository| need(&state.repositories, repository, "repository"))?;
        let others = state.images.values().filter(|other| other.project_id == image.project_id);
        free(others, OPERATION, "there is an image of that reference", |other| other.reference == image.reference)?;
        state.images.insert(image.id, image.clone());
        state.note(audit);
        Ok(())
    }

    async fn image(&self, id: ImageId) -> Result<Image> {
        get(&self.state().images, id, "image")
    }

    async fn images(&self, filter: ImageFilter, page: PageRequest) -> Result<Page<Image>> {
        let fits = |image: &Image| {
            filter.owner == image.project_id && filter.repository.is_none_or(|repository| image.repository_id == Some(repository))
        };
        Ok(oldest_first(&self.state().images, &page, ImageId::from_uuid, |image| image.id.uuid(), fits))
    }

    async fn update_image(&self, image: &Image, audit: &AuditEntry) -> Result<()> {
        let mut state = self.state();
        let stored = get(&state.images, image.id, "image")?;
        same_version(stored.version, image.version, "update image")?;
        image.repository_id.map_or(Ok(()), |repository| need(&state.repositories, repository, "repository"))?;
        let changed = Image { repository_id: image.repository_id, version: stored.version + 1, ..stored };
        state.images.insert(changed.id, changed);
        state.note(audit);
        Ok(())
    }

    async fn move_image(&self, to: &ImageMove) -> Result<Moved<Image>> {
        let (mut state, now) = (self.state(), self.now());
        let stored = get(&state.images, to.image, "image")?;
        same_version(stored.version, to.version, "record digest")?;
        to.runs.iter().try_for_each(|run| state.may_queue(run).map(drop))?;
        let queued = state.enqueue(&to.runs, now).into_iter().collect::<Result<Vec<_>>>()?;
        let current = Some(RecordedDigest { digest: to.digest.clone(), recorded_at: now });
        let moved = Image { current, version: stored.version + 1, ..stored };
        state.images.insert(moved.id, moved.clone());
        state.note(&to.audit);
        Ok(Moved { now: moved, queued })
    }

    async fn delete_image(&self, id: ImageId, audit: &AuditEntry) -> Result<()> {
        let mut state = self.state();
        need(&state.images, id, "image")?;
        let is_used = state.deployments.values().any(|deployment| deployment.image_id == Some(id));
        unused(is_used, "delete image", "a deployment runs the image")?;
        state.images.remove(&id);
        state.note(audit);
        Ok(())
    }
}
