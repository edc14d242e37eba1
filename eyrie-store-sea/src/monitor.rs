//! Monitors and their logs. A monitor's row goes at once, its log in pieces afterwards: what people delete must not hold up what keeps
//! runs going. Which monitors have left something is remembered.

use std::time::Duration;

use async_trait::async_trait;
use eyrie_core::{
    Result,
    clock::earlier,
    id::{DeploymentId, MonitorId},
    model::{AuditEntry, Monitor, MonitorLog, MonitorStatus},
    store::{MonitorFilter, MonitorLogStore, MonitorStore, NewMonitorResult, Page, PageRequest, Pruning},
};
use sea_orm::{
    ColumnTrait, EntityTrait, IntoActiveModel, Order, QueryFilter, QuerySelect,
    prelude::Uuid as Id,
    sea_query::{Expr, Query},
};

use crate::{
    audit,
    entity::{
        audit_entry,
        column::micros,
        forgotten_monitor,
        monitor::{Column, Entity, Model},
        monitor_log,
    },
    error::Failure,
    listing::{found, listed},
    rows::{
        FromRow,
        Kind::{Int, Uuid},
        RowStatement, RowTx, Rows, from_row,
    },
    store::{SeaStore, now},
    version::{deleted, updated},
    writer::{Class, WriteTx},
};

/// The most monitors of which the rest is swept in one transaction.
const MONITORS: u32 = 32;

macro_rules! old_lines {
    () => {
        "monitors m JOIN monitor_logs l ON l.monitor_id = m.id WHERE m.deployment_id = ?1 AND l.at <= ?2 LIMIT ?3"
    };
}
static OLD_LINES: RowStatement =
    RowStatement::query(OldLine::COLUMNS, &[("deployment_id", Uuid), ("before", Int), ("most", Int)], old_lines!());
static DROP_OLD_LINES: RowStatement = RowStatement::written(
    &[("deployment_id", Uuid), ("before", Int), ("most", Int)],
    concat!("DELETE FROM monitor_logs WHERE id IN (SELECT l.id FROM ", old_lines!(), ")"),
);
static FORGOTTEN: RowStatement =
    RowStatement::query(Forgotten::COLUMNS, &[("most", Int)], "forgotten_monitors ORDER BY monitor_id LIMIT ?1").taking();
static DROP_LINES: RowStatement = RowStatement::written(
    &[("monitor_id", Uuid), ("most", Int)],
    "DELETE FROM monitor_logs WHERE id IN (SELECT id FROM monitor_logs WHERE monitor_id = ?1 ORDER BY id LIMIT ?2)",
);
static CLEARED: RowStatement = RowStatement::written(
    &[("monitor_id", Uuid)],
    "DELETE FROM forgotten_monitors WHERE monitor_id = ?1 AND NOT EXISTS (SELECT 1 FROM monitor_logs WHERE monitor_id = ?1)",
);

#[derive(Debug)]
struct OldLine {
    #[expect(dead_code, reason = "that there is one is all that matters")]
    id: Id,
}

from_row!(OldLine { id = "l.id" });

#[derive(Debug)]
struct Forgotten {
    monitor_id: Id,
}

from_row!(Forgotten { monitor_id });

#[async_trait]
impl MonitorStore for SeaStore {
    async fn create_monitor(&self, monitor: &Monitor, audit: &AuditEntry) -> Result<Monitor> {
        let (monitor, entry) = (monitor.clone(), audit_entry::Model::from(audit));
        self.write(Class::Request, "create monitor", move |tx| async move {
            let kept = Monitor { status: MonitorStatus::unknown(tx.now()), ..monitor };
            let done = Entity::insert(Model::from(&kept).into_active_model()).exec_without_returning(&*tx).await;
            done.map_err(|error| Failure::from(error).on_reference_missing("deployment"))?;
            audit::keep(&tx, entry).await?;
            tx.commit().await?;
            Ok(kept)
        })
        .await
    }

    async fn monitor(&self, id: MonitorId) -> Result<Monitor> {
        found(self.read(), "monitor", Entity::find_by_id(id.uuid())).await
    }

    async fn monitors(&self, filter: MonitorFilter, page: PageRequest) -> Result<Page<Monitor>> {
        let mut select = Entity::find();
        if let Some(project) = filter.project {
            select = select.filter(Column::ProjectId.eq(project.uuid()));
        }
        if let Some(deployment) = filter.deployment {
            select = select.filter(Column::DeploymentId.eq(deployment.uuid()));
        }
        if let Some(state) = filter.state {
            select = select.filter(Column::State.eq(state.as_str()));
        }
        listed(self.read(), "monitor", select, (Column::Id, Order::Asc), page, |monitor: &Monitor| monitor.id.uuid()).await
    }

    async fn update_monitor(&self, monitor: &Monitor, audit: &AuditEntry) -> Result<Monitor> {
        let (monitor, entry) = (monitor.clone(), audit_entry::Model::from(audit));
        self.write(Class::Request, "update monitor", move |tx| async move {
            let stored = locked(&tx, monitor.id).await?;
            let status = if monitor.is_checked_like(&stored) { stored.status } else { MonitorStatus::unknown(tx.now()) };
            let row = Model::from(&Monitor { status, ..monitor });
            let done = with_status(&row)
                .col_expr(Column::Slug, Expr::value(row.slug.clone()))
                .col_expr(Column::What, Expr::value(row.what.clone()))
                .col_expr(Column::IntervalSeconds, Expr::value(row.interval_seconds))
                .col_expr(Column::WarningAbove, Expr::value(row.warning_above))
                .col_expr(Column::ErrorAbove, Expr::value(row.error_above))
                .col_expr(Column::WarningAfter, Expr::value(row.warning_after))
                .col_expr(Column::ErrorAfter, Expr::value(row.error_after))
                .col_expr(Column::Enabled, Expr::value(row.enabled))
                .col_expr(Column::Version, Expr::value(row.version + 1))
                .filter(Column::Version.eq(row.version))
                .exec(&*tx)
                .await?;
            updated::<Entity>(&tx, "monitor", row.id, Column::Id, done).await?;
            audit::keep(&tx, entry).await?;
            tx.commit().await?;
            Monitor::try_from(Model { version: row.version + 1, ..row })
        })
        .await
    }

    async fn delete_monitor(&self, id: MonitorId, audit: &AuditEntry) -> Result<()> {
        let entry = audit_entry::Model::from(audit);
        self.write(Class::Request, "delete monitor", move |tx| async move {
            let done = Entity::delete_by_id(id.uuid()).exec(&*tx).await;
            deleted("monitor", "something still refers to the monitor", done)?;
            let left = forgotten_monitor::Model { monitor_id: id.uuid() };
            forgotten_monitor::Entity::insert(left.into_active_model()).exec_without_returning(&*tx).await?;
            audit::keep(&tx, entry).await?;
            tx.commit().await
        })
        .await
    }
}

#[async_trait]
impl MonitorLogStore for SeaStore {
    async fn record_monitor_result(&self, result: &NewMonitorResult) -> Result<(Monitor, MonitorLog)> {
        let new = result.clone();
        // Behind everything that keeps runs going.
        self.write(Class::Background, "record monitor result", move |tx| async move {
            let stored = locked(&tx, new.monitor).await?;
            if !stored.enabled {
                return Err(Failure::conflict("monitor", "the monitor is not enabled"));
            }
            let (monitor, line) = stored.take(new.id, &new.result, tx.now());
            let row = monitor_log::Model::from(&line);
            monitor_log::Entity::insert(row.into_active_model()).exec_without_returning(&*tx).await?;
            with_status(&Model::from(&monitor)).exec(&*tx).await?;
            if monitor.status.state() != stored.status.state() {
                audit::keep(&tx, audit_entry::Model::from(&new.audit)).await?;
            }
            tx.commit().await?;
            Ok((monitor, line))
        })
        .await
    }

    async fn monitor_logs(&self, monitor: MonitorId, page: PageRequest) -> Result<Page<MonitorLog>> {
        let is_there = Query::select().expr(Expr::val(1)).from(Entity).and_where(Column::Id.eq(monitor.uuid())).to_owned();
        let select = monitor_log::Entity::find().filter(monitor_log::Column::MonitorId.eq(monitor.uuid())).filter(Expr::exists(is_there));
        let id_of = |line: &MonitorLog| line.id.uuid();
        listed(self.read(), "monitor log", select, (monitor_log::Column::Id, Order::Desc), page, id_of).await
    }
}

/// The monitor, kept from others until the transaction is over.
async fn locked(tx: &WriteTx, id: MonitorId) -> Result<Monitor, Failure> {
    let row = Entity::find_by_id(id.uuid()).lock_exclusive().one(&**tx).await?;
    row.ok_or_else(|| Failure::missing("monitor"))?.try_into()
}

/// An update of the row's status.
fn with_status(row: &Model) -> sea_orm::UpdateMany<Entity> {
    Entity::update_many()
        .col_expr(Column::State, Expr::value(row.state.clone()))
        .col_expr(Column::Since, Expr::value(row.since))
        .col_expr(Column::CheckedAt, Expr::value(row.checked_at))
        .col_expr(Column::Bad, Expr::value(row.bad))
        .col_expr(Column::VeryBad, Expr::value(row.very_bad))
        .filter(Column::Id.eq(row.id))
}

/// Remembers the monitors of a deployment that goes.
pub(crate) async fn forget_of_deployment(tx: &WriteTx, deployment: Id) -> Result<(), Failure> {
    let ids: Vec<Id> = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::DeploymentId.eq(deployment))
        .lock_exclusive()
        .into_tuple()
        .all(&**tx)
        .await?;
    if !ids.is_empty() {
        let left = ids.into_iter().map(|monitor_id| forgotten_monitor::Model { monitor_id }.into_active_model());
        forgotten_monitor::Entity::insert_many(left).exec_without_returning(&**tx).await?;
    }
    Ok(())
}

/// Deletes lines that came at least `age` ago.
pub(crate) async fn prune(store: &SeaStore, deployment: DeploymentId, age: Duration, limit: u32) -> Result<Pruning> {
    let row = move |before: i64, most: u32| Rows::from_iter([[deployment.uuid().into(), before.into(), i64::from(most).into()]]);
    let old = store.read_rows::<OldLine, OldLine>("prune", &OLD_LINES, row(micros(earlier(now(), age)), 1)).await?;
    if old.is_empty() {
        return Ok(Pruning::default());
    }
    let drop_lines = move |mut tx: RowTx| async move {
        let dropped = tx.execute(&DROP_OLD_LINES, row(micros(earlier(tx.now(), age)), limit)).await?;
        tx.commit().await?;
        Ok(Pruning { monitor_logs: dropped, more: dropped >= u64::from(limit), ..Pruning::default() })
    };
    store.rows(Class::Background, "prune", drop_lines).await
}

/// Deletes what monitors that are gone have left.
pub(crate) async fn sweep(store: &SeaStore, limit: u32) -> Result<Pruning> {
    let sweep = move |mut tx: RowTx| async move {
        let forgotten: Vec<Forgotten> = tx.read(&FORGOTTEN, Rows::from_iter([[i64::from(MONITORS).into()]])).await?;
        if forgotten.is_empty() {
            return Ok(Pruning::default());
        }
        let (mut left, mut cleared) = (u64::from(limit.max(1)), 0);
        for monitor in &forgotten {
            let row = [monitor.monitor_id.into(), i64::try_from(left).unwrap_or(i64::MAX).into()];
            left -= tx.execute(&DROP_LINES, Rows::from_iter([row])).await?.min(left);
            cleared += tx.execute(&CLEARED, Rows::from_iter([[monitor.monitor_id.into()]])).await?;
            if left == 0 {
                break;
            }
        }
        tx.commit().await?;
        let monitor_logs = u64::from(limit.max(1)) - left;
        let more = left == 0 || (forgotten.len() >= MONITORS as usize && cleared > 0);
        Ok(Pruning { monitor_logs, more, ..Pruning::default() })
    };
    store.rows(Class::Background, "prune", sweep).await
}
