//! Datasources: a project's own, and the operators' that all projects' backups may go to.

use serde::Serialize;

use crate::{
    access::Permission,
    error::{Invalid, Result},
    id::{DatasourceId, ProjectId},
    model::{DataType, Datasource, DatasourceConfig, DatasourcePatch, DatasourceUsage, NewDatasource, Owner},
    name::{DisplayName, Slug},
    platform::{Acting, Resource, project::display_name},
    store::{Page, PageRequest},
};

/// What everybody who is signed in sees of a datasource of the operators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SeenDatasource {
    /// The datasource's id.
    pub id: DatasourceId,
    /// Unique among the operators'.
    pub slug: Slug,
    /// Its name for people.
    pub name: DisplayName,
    /// What it is.
    pub data_type: DataType,
    /// What it is for.
    pub usage: DatasourceUsage,
}

/// A datasource, as far as whoever asks may see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum DatasourceView {
    /// All of it, but for its credentials, which are a secret.
    Whole(Box<Datasource>),
    /// That the operators have it, and what for.
    Seen(SeenDatasource),
}

impl Acting {
    /// Keeps a datasource for a project, or for the operators.
    ///
    /// # Errors
    /// `Invalid` names the field of its config, or the secret that its owner does not have; `AlreadyExists` when the owner has one of
    /// that slug.
    pub async fn create_datasource(&self, new: NewDatasource) -> Result<Datasource> {
        self.require_owner(Permission::DatasourceCreate, Owner::of(new.project_id), "datasources").await?;
        let config = DatasourceConfig::parse(new.data_type, &new.config)?;
        self.check_credentials(new.credentials_secret_id, new.project_id).await?;
        let datasource = Datasource {
            id: DatasourceId::new(),
            project_id: new.project_id,
            name: display_name(new.name, &new.slug)?,
            slug: new.slug,
            usage: new.usage,
            config,
            credentials_secret_id: new.credentials_secret_id,
            created_at: self.now(),
            version: 1,
        };
        let audit = self.allowed(Permission::DatasourceCreate.as_str(), format!("datasource {}", datasource.id), datasource.project_id);
        self.store().create_datasource(&datasource, &audit).await?;
        Ok(datasource)
    }

    /// The datasource of that id.
    ///
    /// # Errors
    /// `NotFound`, also for what the principal may not read.
    pub async fn datasource(&self, id: DatasourceId) -> Result<DatasourceView> {
        let datasource = self.store().datasource(id).await?;
        match datasource.project_id {
            Some(project) => self.require(Permission::ProjectRead, &Resource::inside("datasource", id.uuid(), project)).await?,
            None => self.require_everywhere_unseen(Permission::DatasourceList, "datasource", &format!("datasource {id}")).await?,
        }
        self.view(datasource).await
    }

    /// A project's datasources, or the operators', in the order of their making.
    ///
    /// # Errors
    /// `NotFound` for a project that the principal may not read.
    pub async fn datasources(&self, owner: Owner, page: PageRequest) -> Result<Page<DatasourceView>> {
        match owner {
            Owner::Project(project) => self.require(Permission::ProjectRead, &Resource::project(project)).await?,
            Owner::Operators => self.require_everywhere(Permission::DatasourceList, "datasources").await?,
        }
        let Page { items, next } = self.store().datasources(owner, page).await?;
        let whole = owner != Owner::Operators || self.counts_as_operator().await?;
        let items = items.into_iter().map(|datasource| if whole { DatasourceView::Whole(Box::new(datasource)) } else { seen(datasource) });
        Ok(Page { items: items.collect(), next })
    }

    /// Changes a datasource that still has the version that was read.
    ///
    /// # Errors
    /// `Conflict` when it has changed since; otherwise as for [`create_datasource`](Self::create_datasource).
    pub async fn update_datasource(&self, id: DatasourceId, version: u64, patch: DatasourcePatch) -> Result<Datasource> {
        let mut datasource = self.datasource_for(id, Permission::DatasourceUpdate).await?;
        self.check_credentials(patch.credentials_secret_id.flatten(), datasource.project_id).await?;
        if let Some(config) = &patch.config {
            datasource.config = DatasourceConfig::parse(datasource.config.data_type(), config)?;
        }
        datasource.version = version;
        datasource.name = patch.name.unwrap_or(datasource.name);
        datasource.credentials_secret_id = patch.credentials_secret_id.unwrap_or(datasource.credentials_secret_id);
        let audit = self.allowed(Permission::DatasourceUpdate.as_str(), format!("datasource {id}"), datasource.project_id);
        self.store().update_datasource(&datasource, &audit).await?;
        datasource.version += 1;
        Ok(datasource)
    }

    /// Deletes a datasource that nothing refers to.
    ///
    /// # Errors
    /// `Conflict` while backups of a scope go there.
    pub async fn delete_datasource(&self, id: DatasourceId) -> Result<()> {
        let datasource = self.datasource_for(id, Permission::DatasourceDelete).await?;
        let audit = self.allowed(Permission::DatasourceDelete.as_str(), format!("datasource {id}"), datasource.project_id);
        self.store().delete_datasource(id, &audit).await
    }

    /// Refuses a place for the backups of something in a project that is none: it must be the project's or the operators'.
    pub(super) async fn check_backup_dest(&self, id: Option<DatasourceId>, project: ProjectId) -> Result<()> {
        let Some(id) = id else { return Ok(()) };
        let refused = |reason: &str| Err(Invalid::new("backup_dest_datasource_id", reason).into());
        match self.store().datasource(id).await {
            Ok(found) if found.project_id.is_some_and(|owner| owner != project) => {
                refused("there is no such datasource in the project, nor among the operators'")
            }
            Ok(found) if found.usage != DatasourceUsage::RemoteBackup => refused("must be a datasource of usage remote_backup"),
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() => refused("there is no such datasource in the project, nor among the operators'"),
            Err(error) => Err(error),
        }
    }

    async fn datasource_for(&self, id: DatasourceId, permission: Permission) -> Result<Datasource> {
        let datasource = self.store().datasource(id).await?;
        match datasource.project_id {
            Some(project) => self.require(permission, &Resource::inside("datasource", id.uuid(), project)).await?,
            None => self.require_everywhere(permission, &format!("datasource {id}")).await?,
        }
        Ok(datasource)
    }

    async fn view(&self, datasource: Datasource) -> Result<DatasourceView> {
        let whole = datasource.project_id.is_some() || self.counts_as_operator().await?;
        Ok(if whole { DatasourceView::Whole(Box::new(datasource)) } else { seen(datasource) })
    }
}

fn seen(datasource: Datasource) -> DatasourceView {
    let data_type = datasource.config.data_type();
    DatasourceView::Seen(SeenDatasource {
        id: datasource.id,
        slug: datasource.slug,
        name: datasource.name,
        data_type,
        usage: datasource.usage,
    })
}
