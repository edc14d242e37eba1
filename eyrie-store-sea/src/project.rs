//! Projects and who belongs to them.

use async_trait::async_trait;
use eyrie_core::{
    Result,
    id::{ProjectId, UserId},
    model::{AuditEntry, Membership, Project, Role},
    name::Slug,
    store::{MemberStore, Page, PageRequest, ProjectStore},
};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, IntoActiveModel, Order, QueryFilter, QuerySelect, QueryTrait,
    sea_query::{Expr, OnConflict, SelectStatement},
};

use crate::{
    audit,
    entity::{
        audit_entry, membership, namespace,
        project::{Column, Entity, Model},
        user,
    },
    error::Failure,
    listing::{all_found, found, listed},
    queue_rule,
    store::SeaStore,
    version::{deleted, updated},
    writer::{Class, WriteTx},
};

#[async_trait]
impl ProjectStore for SeaStore {
    async fn create_project(&self, project: &Project, audit: &AuditEntry) -> Result<()> {
        let (row, uid, entry) = (Model::from(project), namespace::Model::from(project), audit_entry::Model::from(audit));
        let rule = queue_rule::of(row.id, &project.settings);
        self.write(Class::Request, "create project", move |tx| async move {
            namespace::Entity::insert(uid.into_active_model()).exec_without_returning(&*tx).await?;
            let done = Entity::insert(row.into_active_model()).exec_without_returning(&*tx).await;
            done.map_err(|error| Failure::from(error).on_reference_missing("user"))?;
            queue_rule::keep(&tx, rule).await?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }

    async fn project(&self, id: ProjectId) -> Result<Project> {
        found(self.read(), "project", Entity::find_by_id(id.uuid())).await
    }

    async fn project_by_slug(&self, slug: &Slug) -> Result<Project> {
        found(self.read(), "project", Entity::find().filter(Column::Slug.eq(slug.as_str()))).await
    }

    async fn projects(&self, member: Option<UserId>, page: PageRequest) -> Result<Page<Project>> {
        let mut select = Entity::find();
        if let Some(member) = member {
            let joined = membership::Entity::find()
                .select_only()
                .column(membership::Column::ProjectId)
                .filter(membership::Column::UserId.eq(member.uuid()))
                .into_query();
            select = select.filter(Condition::any().add(Column::OwnerId.eq(member.uuid())).add(Column::Id.in_subquery(joined)));
        }
        listed(self.read(), "project", select, (Column::Id, Order::Asc), page, |project: &Project| project.id.uuid()).await
    }

    async fn update_project(&self, project: &Project, audit: &AuditEntry) -> Result<()> {
        let (row, entry) = (Model::from(project), audit_entry::Model::from(audit));
        let rule = queue_rule::of(row.id, &project.settings);
        self.write(Class::Request, "update project", move |tx| async move {
            let done = Entity::update_many()
                .col_expr(Column::Slug, Expr::value(row.slug))
                .col_expr(Column::Name, Expr::value(row.name))
                .col_expr(Column::OwnerId, Expr::value(row.owner_id))
                .col_expr(Column::Settings, Expr::value(row.settings))
                .col_expr(Column::Version, Expr::value(row.version + 1))
                .filter(Column::Id.eq(row.id))
                .filter(Column::Version.eq(row.version))
                .exec(&*tx)
                .await
                .map_err(|error| Failure::from(error).on_reference_missing("user"))?;
            updated::<Entity>(&tx, "project", row.id, Column::Id, done).await?;
            queue_rule::keep(&tx, rule).await?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }

    async fn delete_project(&self, id: ProjectId, audit: &AuditEntry) -> Result<()> {
        let entry = audit_entry::Model::from(audit);
        self.write(Class::Request, "delete project", move |tx| async move {
            queue_rule::forget(&tx, id.uuid()).await?;
            let done = Entity::delete_by_id(id.uuid()).exec(&*tx).await;
            deleted("project", "the project still has groups, services, repositories or images", done)?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }
}

/// Refuses to leave a project to nobody: whoever has rights as its admin must not be its last one to lose them.
async fn check_admins(tx: &WriteTx, project: ProjectId, user: UserId, role: Option<Role>) -> Result<(), Failure> {
    if role == Some(Role::Admin) {
        return Ok(());
    }
    tx.alone("memberships").await?;
    let with_rights = |member: SelectStatement| {
        user::Entity::find().filter(user::Column::Id.in_subquery(member)).filter(user::Column::Disabled.eq(false))
    };
    let admins = membership::Entity::find()
        .select_only()
        .column(membership::Column::UserId)
        .filter(membership::Column::ProjectId.eq(project.uuid()))
        .filter(membership::Column::Role.eq(Role::Admin.as_str()));
    let owner = Entity::find_by_id(project.uuid()).select_only().column(Column::OwnerId).filter(Column::OwnerId.is_not_null());
    let admins = with_rights(admins.into_query()).all(&**tx).await?;
    let is_last = admins.len() == 1 && admins.iter().any(|admin| admin.id == user.uuid());
    if is_last && with_rights(owner.into_query()).one(&**tx).await?.is_none() {
        return Err(Failure::conflict("member", "it is the last admin of a project without an owner; make somebody else admin first"));
    }
    Ok(())
}

#[async_trait]
impl MemberStore for SeaStore {
    async fn set_membership(&self, membership: &Membership, audit: &AuditEntry) -> Result<()> {
        let (row, entry) = (membership::Model::from(membership), audit_entry::Model::from(audit));
        let (project, user, role) = (membership.project_id, membership.user_id, membership.role);
        self.write(Class::Request, "set membership", move |tx| async move {
            check_admins(&tx, project, user, Some(role)).await?;
            let replace = OnConflict::columns([membership::Column::ProjectId, membership::Column::UserId])
                .update_column(membership::Column::Role)
                .to_owned();
            let insert = membership::Entity::insert(row.into_active_model()).on_conflict(replace);
            let done = insert.exec_without_returning(&*tx).await;
            done.map_err(|error| Failure::from(error).on_reference_missing("project or user"))?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }

    async fn remove_membership(&self, project: ProjectId, user: UserId, audit: &AuditEntry) -> Result<()> {
        let entry = audit_entry::Model::from(audit);
        self.write(Class::Request, "remove membership", move |tx| async move {
            check_admins(&tx, project, user, None).await?;
            let done = membership::Entity::delete_by_id((project.uuid(), user.uuid())).exec(&*tx).await;
            deleted("membership", "the membership is in use", done)?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }

    async fn memberships(&self, project: ProjectId) -> Result<Vec<Membership>> {
        let select = membership::Entity::find().filter(membership::Column::ProjectId.eq(project.uuid()));
        all_found(self.read(), "membership", select).await
    }
}
