//! Schedules.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use eyrie_core::{
    Result, Timestamp,
    id::{RunId, ScheduleId},
    model::{AuditEntry, Schedule},
    name::GroupType,
    store::{DueSchedules, Enqueued, Fire, Page, PageRequest, ScheduleFilter, ScheduleStore},
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbBackend, EntityTrait, ExprTrait, IntoActiveModel, Order, QueryFilter, QueryOrder,
    QuerySelect, Statement,
    sea_query::{Expr, Query},
};

use crate::{
    audit,
    entity::{
        audit_entry,
        column::{count, maybe_micros, micros, time},
        deployment, deployment_group,
        schedule::{Column, Entity, Model},
    },
    error::Failure,
    listing::{found, listed},
    rows::{
        FromRow,
        Kind::{Int, Text, Uuid},
        RowStatement, RowTx, Rows, from_row,
    },
    run::{lock_deployments, queue_in},
    store::{SeaStore, now},
    version::{deleted, updated},
    writer::Class,
};

static MOVE_ON: RowStatement = RowStatement::update(
    "schedules",
    3,
    &[
        ("id", Uuid),
        ("version", Int),
        ("next_fire_at", Int),
        ("next_fire_at", Int),
        ("last_fire_at", Int),
        ("last_run_id", Uuid),
        ("last_message", Text),
    ],
);
static KNOWN: RowStatement = RowStatement::select(Known::COLUMNS, "schedules", &[("id", Uuid)], "");

#[derive(Debug)]
struct Known {
    #[expect(dead_code, reason = "that there is one is all that matters")]
    id: sea_orm::prelude::Uuid,
}

from_row!(Known { id });

#[async_trait]
impl ScheduleStore for SeaStore {
    async fn create_schedule(&self, schedule: &Schedule, audit: &AuditEntry) -> Result<Schedule> {
        let (schedule, entry) = (schedule.clone(), audit_entry::Model::from(audit));
        self.write(Class::Request, "create schedule", move |tx| async move {
            let kept = Schedule { next_fire_at: schedule.next_after(tx.now()), last_fire: None, ..schedule };
            let done = Entity::insert(Model::from(&kept).into_active_model()).exec_without_returning(&*tx).await;
            done.map_err(|error| Failure::from(error).on_reference_missing("deployment"))?;
            audit::keep(&tx, entry).await?;
            tx.commit().await?;
            Ok(kept)
        })
        .await
    }

    async fn schedule(&self, id: ScheduleId) -> Result<Schedule> {
        found(self.read(), "schedule", Entity::find_by_id(id.uuid())).await
    }

    async fn schedules(&self, filter: ScheduleFilter, page: PageRequest) -> Result<Page<Schedule>> {
        let mut select = Entity::find();
        if let Some(project) = filter.project {
            select = select.filter(Column::ProjectId.eq(project.uuid()));
        }
        if let Some(deployment) = filter.deployment {
            select = select.filter(Column::DeploymentId.eq(deployment.uuid()));
        }
        listed(self.read(), "schedule", select, (Column::Id, Order::Asc), page, |schedule: &Schedule| schedule.id.uuid()).await
    }

    async fn update_schedule(&self, schedule: &Schedule, audit: &AuditEntry) -> Result<Schedule> {
        let (schedule, entry) = (schedule.clone(), audit_entry::Model::from(audit));
        self.write(Class::Request, "update schedule", move |tx| async move {
            let stored = Entity::find_by_id(schedule.id.uuid()).one(&*tx).await?.ok_or_else(|| Failure::missing("schedule"))?;
            let row = Model::from(&schedule);
            let mut update = Entity::update_many()
                .col_expr(Column::Slug, Expr::value(row.slug))
                .col_expr(Column::Cron, Expr::value(row.cron))
                .col_expr(Column::TimeZone, Expr::value(row.time_zone))
                .col_expr(Column::Kind, Expr::value(row.kind))
                .col_expr(Column::Context, Expr::value(row.context))
                .col_expr(Column::Missed, Expr::value(row.missed))
                .col_expr(Column::Enabled, Expr::value(row.enabled))
                .col_expr(Column::Owner, Expr::value(row.owner))
                .col_expr(Column::Version, Expr::value(row.version + 1));
            // When its times are, changes with its version only; when it fires next, also as it fires.
            if !schedule.has_times_of(&Schedule::try_from(stored)?) {
                update = update.col_expr(Column::NextFireAt, Expr::value(maybe_micros(schedule.next_after(tx.now()))));
            }
            let done = update.filter(Column::Id.eq(row.id)).filter(Column::Version.eq(row.version)).exec(&*tx).await?;
            updated::<Entity>(&tx, "schedule", row.id, Column::Id, done).await?;
            let kept = Entity::find_by_id(row.id).one(&*tx).await?.ok_or_else(|| Failure::missing("schedule"))?;
            audit::keep(&tx, entry).await?;
            tx.commit().await?;
            Schedule::try_from(kept)
        })
        .await
    }

    async fn delete_schedule(&self, id: ScheduleId, audit: &AuditEntry) -> Result<()> {
        let entry = audit_entry::Model::from(audit);
        self.write(Class::Request, "delete schedule", move |tx| async move {
            let done = Entity::delete_by_id(id.uuid()).exec(&*tx).await;
            deleted("schedule", "something still refers to the schedule", done)?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }

    async fn due_schedules(&self, types: &[GroupType], limit: u32) -> Result<DueSchedules> {
        let (now, rows) = due_rows(self.read(), types, limit).await.map_err(|failure| failure.into_error("due schedules"))?;
        let mut schedules = Vec::with_capacity(rows.len());
        for row in rows {
            let id = ScheduleId::from_uuid(row.id);
            match Schedule::try_from(row) {
                Ok(schedule) => schedules.push(schedule),
                // One bad schedule must not keep all others from firing.
                Err(failure) => {
                    let error = failure.into_error("due schedules");
                    tracing::error!(schedule = %id, error = &error as &dyn std::error::Error, "the schedule cannot be read");
                }
            }
        }
        Ok(DueSchedules { now, schedules })
    }

    async fn fire_schedule(&self, fire: &Fire) -> Result<Vec<Enqueued>> {
        let fire = Arc::new(fire.clone());
        self.rows(Class::Engine, "fire schedule", move |tx| fire_in(tx, Arc::clone(&fire))).await
    }
}

async fn fire_in(mut tx: RowTx, fire: Arc<Fire>) -> Result<Vec<Enqueued>, Failure> {
    // Deployments before their schedules: whoever deletes one comes that way, too.
    let deployments: BTreeSet<_> = fire.runs.iter().map(|request| request.run.deployment_id).collect();
    lock_deployments(&mut tx, deployments).await?;
    let id = fire.schedule.uuid();
    let last = &fire.last_fire;
    let moved = [
        id.into(),
        count(fire.version).into(),
        micros(fire.due_at).into(),
        maybe_micros(fire.next_fire_at).into(),
        micros(last.at).into(),
        last.run_id.map(RunId::uuid).into(),
        last.message.as_str().into(),
    ];
    if tx.execute(&MOVE_ON, Rows::from_iter([moved])).await? == 0 {
        let known: Vec<Known> = tx.read(&KNOWN, Rows::from_iter([[id.into()]])).await?;
        return Err(match known.is_empty() {
            true => Failure::missing("schedule"),
            false => Failure::conflict("schedule", "it has fired, or was changed, since it was read"),
        });
    }
    let queued = queue_in(&mut tx, &fire.runs).await?.into_iter().collect::<Result<Vec<_>>>().map_err(Failure::Refused)?;
    tx.commit().await?;
    Ok(queued)
}

/// The schedules of these types that are due, and by which time.
async fn due_rows(db: &DatabaseConnection, types: &[GroupType], limit: u32) -> Result<(Timestamp, Vec<Model>), Failure> {
    let now = database_time(db).await?;
    let (deployment_id, group_id) =
        ((deployment::Entity, deployment::Column::Id), (deployment_group::Entity, deployment_group::Column::Id));
    let is_of_type = Query::select()
        .expr(Expr::val(1))
        .from(deployment::Entity)
        .inner_join(deployment_group::Entity, Expr::col(group_id).equals((deployment::Entity, deployment::Column::GroupId)))
        .and_where(Expr::col(deployment_id).equals((Entity, Column::DeploymentId)))
        .and_where(deployment_group::Column::GroupType.is_in(types.iter().map(GroupType::as_str)))
        .to_owned();
    let select = Entity::find()
        .filter(Column::NextFireAt.lte(micros(now)))
        .filter(Expr::exists(is_of_type))
        .order_by_asc(Column::NextFireAt)
        .order_by_asc(Column::Id)
        .limit(u64::from(limit));
    Ok((now, select.all(db).await?))
}

/// The time by which schedules are due: the server's, or that of this machine for a file.
async fn database_time(db: &DatabaseConnection) -> Result<Timestamp, Failure> {
    if db.get_database_backend() != DbBackend::Postgres {
        return Ok(now());
    }
    let text = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::int8";
    let row = db.query_one_raw(Statement::from_string(DbBackend::Postgres, text)).await?;
    Ok(time(row.ok_or_else(|| Failure::missing("time"))?.try_get_by_index::<i64>(0)?))
}
