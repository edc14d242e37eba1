//! Turns in the queues of deployments: which deployments are kept from others, and whose turn is next.

use std::collections::BTreeSet;

use eyrie_core::id::DeploymentId;

use crate::{
    error::Failure,
    rows::{Kind::Uuid, RowStatement, RowTx, Rows},
};

/// The next in the queue becomes ready, unless another run of the deployment has its turn. A server locks the deployments first, and
/// looks at their queues then.
pub(super) static HAND_ON: RowStatement = RowStatement::call(
    &[("deployment_id", Uuid)],
    "UPDATE runs SET ready = TRUE WHERE id = (SELECT q.id FROM runs q WHERE q.deployment_id = ?1 AND q.finished_at IS NULL \
        AND q.state = 'queued' AND NOT q.deferred ORDER BY q.queued_at, q.id LIMIT 1) AND NOT EXISTS (SELECT 1 FROM runs c WHERE c.deployment_id = ?1 \
        AND c.finished_at IS NULL AND (c.state <> 'queued' OR c.ready))",
    "SELECT eyrie_hand_on($1::uuid[])",
);
static LOCK_DEPLOYMENTS: RowStatement = RowStatement::select(&["id"], "deployments", &[("id", Uuid)], "").locking();

/// The first in the queue of each of these deployments becomes ready, unless another run of it has its turn.
pub(super) async fn hand_turns_on(tx: &mut RowTx, deployments: BTreeSet<DeploymentId>) -> Result<(), Failure> {
    tx.execute(&HAND_ON, rows(&deployments)).await?;
    Ok(())
}

/// Keeps others from adding to the queues of these deployments, or taking from them, until the transaction is over: who ends a
/// run and who queues the next one must know of each other. Runs are always locked before deployments.
pub(crate) async fn lock_deployments(tx: &mut RowTx, deployments: BTreeSet<DeploymentId>) -> Result<(), Failure> {
    tx.lock(&LOCK_DEPLOYMENTS, rows(&deployments)).await
}

/// A row for each deployment.
pub(super) fn rows(deployments: &BTreeSet<DeploymentId>) -> Rows {
    deployments.iter().map(|deployment| [deployment.uuid().into()]).collect()
}
