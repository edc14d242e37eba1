//! Workers and their leases.

use std::time::Duration;

use async_trait::async_trait;
use eyrie_core::{
    Result,
    clock::later,
    id::WorkerId,
    store::{WorkerLease, WorkerStore},
};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, Statement, sea_query::Expr};

use crate::{
    entity::{
        column::micros,
        worker::{Column, Entity, Model},
    },
    error::Failure,
    store::SeaStore,
    writer::Class,
};

/// Workers that have been gone this long and hold nothing are forgotten.
const KEPT_FOR: i64 = 7 * 24 * 3600 * 1_000_000;

#[async_trait]
impl WorkerStore for SeaStore {
    async fn register_worker(&self, worker: WorkerId, ttl: Duration) -> Result<WorkerLease> {
        // The lock comes first: from the moment that others can know of the worker, its lock says that it lives.
        self.locks().hold(worker)?;
        let locks = self.locks().clone();
        self.write(Class::Engine, "register worker", move |tx| async move {
            let registered = async {
                let at = tx.now();
                let until = later(at, ttl);
                let row = Model { id: worker.uuid(), registered_at: micros(at), lease_until: micros(until) };
                Entity::insert(row.into_active_model()).exec_without_returning(&*tx).await?;
                let forget = "DELETE FROM workers WHERE lease_until < $1 AND NOT EXISTS (SELECT 1 FROM runs \
                    WHERE runs.worker_id = workers.id AND runs.state IN ('running', 'cancelling', 'undoing'))";
                let abandoned = locks.abandoned();
                let ids = abandoned.iter().map(|worker| worker.uuid());
                let ended = Entity::update_many().col_expr(Column::LeaseUntil, Expr::value(0_i64)).filter(Column::Id.is_in(ids));
                ended.exec(&*tx).await?;
                let before = micros(at).saturating_sub(KEPT_FOR);
                tx.execute_raw(Statement::from_sql_and_values(tx.get_database_backend(), forget, [before.into()])).await?;
                tx.commit().await?;
                locks.bury(&abandoned);
                Ok(WorkerLease { worker, until })
            };
            registered.await.inspect_err(|_: &Failure| locks.let_go(worker))
        })
        .await
    }

    async fn renew_worker(&self, worker: WorkerId, ttl: Duration) -> Result<WorkerLease> {
        self.write(Class::Engine, "renew worker", move |tx| async move {
            let at = tx.now();
            let until = later(at, ttl);
            let done = Entity::update_many()
                .col_expr(Column::LeaseUntil, Expr::value(micros(until)))
                .filter(Column::Id.eq(worker.uuid()))
                .filter(Column::LeaseUntil.gt(micros(at)))
                .exec(&*tx)
                .await?;
            if done.rows_affected == 0 {
                return Err(Failure::missing("valid worker lease"));
            }
            tx.commit().await?;
            Ok(WorkerLease { worker, until })
        })
        .await
    }

    async fn retire_worker(&self, worker: WorkerId) -> Result<()> {
        let locks = self.locks().clone();
        self.write(Class::Engine, "retire worker", move |tx| async move {
            let done = Entity::update_many()
                .col_expr(Column::LeaseUntil, Expr::value(0_i64))
                .filter(Column::Id.eq(worker.uuid()))
                .exec(&*tx)
                .await?;
            if done.rows_affected == 0 {
                return Err(Failure::missing("worker"));
            }
            tx.commit().await?;
            locks.let_go(worker);
            Ok(())
        })
        .await
    }
}
