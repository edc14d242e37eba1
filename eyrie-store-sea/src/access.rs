//! Overrides of roles.

use async_trait::async_trait;
use eyrie_core::{
    Result,
    id::{ProjectId, RunId, UserId},
    model::{AccessPath, AuditEntry, Grants, OverrideAt, RoleOverride},
    store::{AccessStore, RunReader},
};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, QueryTrait, prelude::Uuid as Id,
    sea_query::OnConflict,
};

use crate::{
    audit,
    entity::{audit_entry, column::word, deployment, deployment_override, group_override, membership, project, run},
    error::Failure,
    listing::all_found,
    readable::deployments_readable,
    rows::{
        Cell, FromRow,
        Kind::{self, Uuid},
        RowStatement, Rows, from_row,
    },
    store::SeaStore,
    version::deleted,
    writer::Class,
};

/// No override can stand at that level.
const NOTHING: &str = "CAST(NULL AS text)";
const PATH: &[(&str, Kind)] = &[("user_id", Uuid), ("project_id", Uuid), ("place", Uuid)];

static AT_PROJECT: RowStatement = RowStatement::query(
    &["u.operator", "u.disabled", "p.owner_id = u.id", "m.role", NOTHING, NOTHING],
    &[("user_id", Uuid), ("project_id", Uuid)],
    "users u LEFT JOIN projects p ON p.id = ?2 LEFT JOIN memberships m ON m.project_id = ?2 AND m.user_id = u.id WHERE u.id = ?1",
);
static AT_GROUP: RowStatement = RowStatement::query(
    &["u.operator", "u.disabled", "p.owner_id = u.id", "m.role", "o.role", NOTHING],
    PATH,
    "users u LEFT JOIN deployment_groups g ON g.id = ?3 AND g.project_id = ?2 LEFT JOIN projects p ON p.id = g.project_id \
        LEFT JOIN memberships m ON m.project_id = g.project_id AND m.user_id = u.id \
        LEFT JOIN group_overrides o ON o.user_id = u.id AND o.group_id = g.id WHERE u.id = ?1",
);
static AT_DEPLOYMENT: RowStatement = RowStatement::query(
    OnPath::COLUMNS,
    PATH,
    "users u LEFT JOIN deployments d ON d.id = ?3 AND d.project_id = ?2 LEFT JOIN projects p ON p.id = d.project_id \
        LEFT JOIN memberships m ON m.project_id = d.project_id AND m.user_id = u.id \
        LEFT JOIN group_overrides g ON g.user_id = u.id AND g.group_id = d.group_id \
        LEFT JOIN deployment_overrides o ON o.user_id = u.id AND o.deployment_id = d.id WHERE u.id = ?1",
);

/// All that counts for a user at a place.
#[derive(Debug)]
struct OnPath {
    operator: bool,
    disabled: bool,
    owner: Option<bool>,
    member: Option<String>,
    group: Option<String>,
    deployment: Option<String>,
}

from_row!(OnPath {
    operator = "u.operator",
    disabled = "u.disabled",
    owner = "p.owner_id = u.id",
    member = "m.role",
    group = "g.role",
    deployment = "o.role",
});

impl TryFrom<OnPath> for Grants {
    type Error = Failure;

    fn try_from(row: OnPath) -> Result<Self, Failure> {
        Ok(Self {
            operator: row.operator,
            disabled: row.disabled,
            owner: row.owner == Some(true),
            member: row.member.as_deref().map(word).transpose()?,
            group: row.group.as_deref().map(word).transpose()?,
            deployment: row.deployment.as_deref().map(word).transpose()?,
        })
    }
}

#[async_trait]
impl AccessStore for SeaStore {
    async fn set_override(&self, given: &RoleOverride, audit: &AuditEntry) -> Result<()> {
        let (given, entry) = (*given, audit_entry::Model::from(audit));
        let (user_id, project_id, role) = (given.user_id.uuid(), given.project_id.uuid(), given.role.as_str().to_owned());
        self.write(Class::Request, "set override", move |tx| async move {
            let done = match given.at {
                OverrideAt::Group(group) => {
                    use group_override::{Column, Entity, Model};
                    let row = Model { user_id, group_id: group.uuid(), project_id, role };
                    let replace = OnConflict::columns([Column::UserId, Column::GroupId]).update_column(Column::Role).to_owned();
                    Entity::insert(row.into_active_model()).on_conflict(replace).exec_without_returning(&*tx).await
                }
                OverrideAt::Deployment(deployment) => {
                    use deployment_override::{Column, Entity, Model};
                    let row = Model { user_id, deployment_id: deployment.uuid(), project_id, role };
                    let replace = OnConflict::columns([Column::UserId, Column::DeploymentId]).update_column(Column::Role).to_owned();
                    Entity::insert(row.into_active_model()).on_conflict(replace).exec_without_returning(&*tx).await
                }
            };
            done.map_err(|error| Failure::from(error).on_reference_missing("member"))?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }

    async fn remove_override(&self, at: OverrideAt, user: UserId, audit: &AuditEntry) -> Result<()> {
        let entry = audit_entry::Model::from(audit);
        self.write(Class::Request, "remove override", move |tx| async move {
            let done = match at {
                OverrideAt::Group(id) => group_override::Entity::delete_by_id((user.uuid(), id.uuid())).exec(&*tx).await,
                OverrideAt::Deployment(id) => deployment_override::Entity::delete_by_id((user.uuid(), id.uuid())).exec(&*tx).await,
            };
            deleted("override", "the override is in use", done)?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }

    async fn overrides(&self, at: OverrideAt) -> Result<Vec<RoleOverride>> {
        match at {
            OverrideAt::Group(id) => {
                use group_override::{Column, Entity};
                let select = Entity::find().filter(Column::GroupId.eq(id.uuid())).order_by_asc(Column::UserId);
                all_found(self.read(), "override", select).await
            }
            OverrideAt::Deployment(id) => {
                use deployment_override::{Column, Entity};
                let select = Entity::find().filter(Column::DeploymentId.eq(id.uuid())).order_by_asc(Column::UserId);
                all_found(self.read(), "override", select).await
            }
        }
    }

    async fn overrides_of(&self, project: ProjectId, user: UserId) -> Result<Vec<RoleOverride>> {
        let groups = {
            use group_override::{Column, Entity};
            let select = Entity::find().filter(Column::ProjectId.eq(project.uuid())).filter(Column::UserId.eq(user.uuid()));
            select.order_by_asc(Column::GroupId)
        };
        let deployments = {
            use deployment_override::{Column, Entity};
            let select = Entity::find().filter(Column::ProjectId.eq(project.uuid())).filter(Column::UserId.eq(user.uuid()));
            select.order_by_asc(Column::DeploymentId)
        };
        let mut all: Vec<RoleOverride> = all_found(self.read(), "override", groups).await?;
        all.extend(all_found::<_, RoleOverride>(self.read(), "override", deployments).await?);
        Ok(all)
    }

    async fn grants_on_path(&self, user: UserId, path: AccessPath) -> Result<Grants> {
        let (user, project) = (Cell::from(user.uuid()), Cell::from(path.project().uuid()));
        let (statement, row) = match path {
            AccessPath::Project(_) => (&AT_PROJECT, Rows::from_iter([[user, project]])),
            AccessPath::Group(_, group) => (&AT_GROUP, Rows::from_iter([[user, project, group.uuid().into()]])),
            AccessPath::Deployment(_, deployment) => (&AT_DEPLOYMENT, Rows::from_iter([[user, project, deployment.uuid().into()]])),
        };
        Ok(self.read_rows::<OnPath, Grants>("grants", statement, row).await?.pop().unwrap_or_default())
    }

    async fn readable_runs(&self, reader: RunReader, runs: &[RunId]) -> Result<Vec<RunId>> {
        use run::{Column, Entity};
        let mut select = Entity::find().select_only().column(Column::Id).filter(Column::Id.is_in(runs.iter().map(|run| run.uuid())));
        if let Some(project) = reader.project {
            select = select.filter(Column::ProjectId.eq(project.uuid()));
        }
        if let Some(deployment) = reader.deployment {
            select = select.filter(Column::DeploymentId.eq(deployment.uuid()));
        }
        let deployed = |fits| deployment::Entity::find().select_only().column(deployment::Column::Id).filter(fits).into_query();
        if let Some(group) = reader.group {
            select = select.filter(Column::DeploymentId.in_subquery(deployed(deployment::Column::GroupId.eq(group.uuid()))));
        }
        if let Some(service) = reader.service {
            select = select.filter(Column::DeploymentId.in_subquery(deployed(deployment::Column::ServiceId.eq(service.uuid()))));
        }
        if let Some(user) = reader.user {
            let owned = project::Entity::find()
                .select_only()
                .column(project::Column::Id)
                .filter(project::Column::OwnerId.eq(user.uuid()))
                .into_query();
            let joined = membership::Entity::find()
                .select_only()
                .column(membership::Column::ProjectId)
                .filter(membership::Column::UserId.eq(user.uuid()))
                .into_query();
            let as_member =
                Condition::all().add(Column::ProjectId.in_subquery(joined)).add(deployments_readable(Column::DeploymentId, user));
            select = select.filter(Condition::any().add(Column::ProjectId.in_subquery(owned)).add(as_member));
        }
        let found: Result<Vec<Id>, Failure> = select.into_tuple().all(self.read()).await.map_err(Failure::from);
        Ok(found.map_err(|failure| failure.into_error("runs"))?.into_iter().map(RunId::from_uuid).collect())
    }
}
