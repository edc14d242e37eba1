//! Runs whose time has come.

use std::collections::BTreeSet;

use eyrie_core::{Timestamp, id::DeploymentId};
use sea_orm::prelude::Uuid as Id;

use crate::{
    entity::column::micros,
    error::Failure,
    rows::{
        FromRow,
        Kind::{Bool, Int, Uuid},
        RowStatement, RowTx, Rows, from_row,
    },
    run::turns::hand_turns_on,
};

/// The most runs that one transaction lets in.
const MOST: i64 = 500;

static DUE: RowStatement = RowStatement::query(
    DueRun::COLUMNS,
    &[("now", Int), ("most", Int)],
    "runs WHERE deferred AND queued_at <= ?1 ORDER BY queued_at, id LIMIT ?2",
)
.taking();
static LET_IN: RowStatement = RowStatement::update("runs", 1, &[("id", Uuid), ("deferred", Bool)]);

#[derive(Debug)]
struct DueRun {
    id: Id,
    deployment_id: Id,
}

from_row!(DueRun { id, deployment_id });

/// Lets runs whose time has come into their deployments' queues; how many.
pub(super) async fn let_in(tx: &mut RowTx, at: Timestamp) -> Result<usize, Failure> {
    let due: Vec<DueRun> = tx.read(&DUE, Rows::from_iter([[micros(at).into(), MOST.into()]])).await?;
    tx.execute(&LET_IN, due.iter().map(|run| [run.id.into(), false.into()]).collect()).await?;
    let deployments: BTreeSet<_> = due.iter().map(|run| DeploymentId::from_uuid(run.deployment_id)).collect();
    hand_turns_on(tx, deployments).await?;
    Ok(due.len())
}
