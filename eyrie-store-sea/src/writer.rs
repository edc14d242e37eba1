//! The one writer: a queue in front of the connections for writing, and transactions that always come to an end.

use std::{
    collections::VecDeque,
    future::Future,
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use eyrie_core::{Error, ErrorKind, Result};
use sea_orm::{DatabaseConnection, DatabaseTransaction, SqliteTransactionMode, TransactionOptions, TransactionTrait};
use tokio::{runtime::Handle, sync::oneshot};

use crate::{direct::DirectWriter, error::Failure, rows::RowTx};

/// Whose turn comes first. Within a class it is first come, first served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// What keeps runs going: claims, commands, new runs, leases.
    Engine,
    /// What people ask for.
    Request,
    /// What can wait: run logs, refusals.
    Background,
}

/// Hands out the connections for writing, one transaction at a time.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    connection: DatabaseConnection,
    direct: Arc<DirectWriter>,
    gate: Arc<Gate>,
    patience: Duration,
    own: Handle,
}

impl Writer {
    /// A writer over a pool of one connection and a direct one, which waits for other processes up to `patience`; `own` is the
    /// store's own runtime.
    pub(crate) fn new(connection: DatabaseConnection, direct: DirectWriter, patience: Duration, own: Handle) -> Self {
        Self { connection, direct: Arc::new(direct), gate: Arc::new(Gate::default()), patience, own }
    }

    /// Runs `work`, which waits for nothing but its statements, in a transaction of rows that it commits itself. It comes to its
    /// end also when the caller goes away.
    pub(crate) async fn rows<T, F, Work>(&self, class: Class, work: F) -> Result<T, Failure>
    where
        F: FnOnce(RowTx) -> Work + Send + 'static,
        Work: Future<Output = Result<T, Failure>>,
        T: Send + 'static,
    {
        let turn = Gate::enter(&self.gate, class).await;
        self.direct.run(turn, work).await
    }

    /// Runs `work` in a transaction that it commits itself. It comes to its end also when the caller goes away.
    pub(crate) async fn attempt<T, F, Work>(&self, class: Class, work: F) -> Result<T, Failure>
    where
        F: FnOnce(WriteTx) -> Work + Send + 'static,
        Work: Future<Output = Result<T, Failure>> + Send,
        T: Send + 'static,
    {
        let writer = self.clone();
        // The engine writes from a thread of its own already; whoever else calls may block its runtime at any time.
        let runtime = if class == Class::Engine { Handle::current() } else { self.own.clone() };
        let task = runtime.spawn(async move {
            let transaction = writer.begin(class).await?;
            work(transaction).await
        });
        task.await
            .unwrap_or_else(|error| Err(Error::new(ErrorKind::OutcomeUnknown, "write", "the write was stopped").with_source(error).into()))
    }

    /// Like [`attempt`](Self::attempt), with the error as the ports want it.
    pub(crate) async fn write<T, F, Work>(&self, class: Class, operation: &'static str, work: F) -> Result<T>
    where
        F: FnOnce(WriteTx) -> Work + Send + 'static,
        Work: Future<Output = Result<T, Failure>> + Send,
        T: Send + 'static,
    {
        self.attempt(class, work).await.map_err(|failure| failure.into_error(operation))
    }

    /// Waits for its turn in this process, then for other processes.
    async fn begin(&self, class: Class) -> Result<WriteTx, Failure> {
        let turn = Gate::enter(&self.gate, class).await;
        let options =
            TransactionOptions { sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate), ..TransactionOptions::default() };
        let begun = Instant::now();
        loop {
            match self.connection.begin_with_options(options).await.map_err(Failure::from) {
                Ok(transaction) => return Ok(WriteTx { transaction, turn }),
                Err(failure) if failure.is_busy() && begun.elapsed() < self.patience => tokio::time::sleep(Duration::from_millis(1)).await,
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Lets the transaction that is under way end, and closes the connection.
    pub(crate) async fn close(&self) {
        let _turn = Gate::enter(&self.gate, Class::Engine).await;
        self.direct.close().await;
        if let Err(error) = self.connection.clone().close().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the database connection did not close cleanly");
        }
    }
}

/// A write transaction. Dropped without [`commit`](Self::commit), it is rolled back.
#[derive(Debug)]
pub(crate) struct WriteTx {
    transaction: DatabaseTransaction,
    turn: Turn,
}

impl WriteTx {
    /// Makes everything durable.
    pub(crate) async fn commit(self) -> Result<(), Failure> {
        let Self { transaction, turn } = self;
        let done = transaction.commit().await.map_err(|error| Failure::Commit(error.into()));
        drop(turn);
        done
    }
}

impl Deref for WriteTx {
    type Target = DatabaseTransaction;

    fn deref(&self) -> &DatabaseTransaction {
        &self.transaction
    }
}

/// One holder at a time; who waits is served by class, then by arrival.
#[derive(Debug, Default)]
struct Gate {
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    is_held: bool,
    waiting: [VecDeque<oneshot::Sender<Turn>>; 3],
}

impl Gate {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn enter(gate: &Arc<Self>, class: Class) -> Turn {
        loop {
            let called = {
                let mut queue = gate.queue();
                if !queue.is_held {
                    queue.is_held = true;
                    return Turn { gate: Some(Arc::clone(gate)) };
                }
                let (call, called) = oneshot::channel();
                queue.waiting[class as usize].push_back(call);
                called
            };
            if let Ok(turn) = called.await {
                return turn;
            }
        }
    }

    /// Calls the next who still waits.
    fn pass_on(self: Arc<Self>) {
        let mut gate = self;
        loop {
            let next = {
                let mut queue = gate.queue();
                let next = queue.waiting.iter_mut().find_map(VecDeque::pop_front);
                if next.is_none() {
                    queue.is_held = false;
                }
                next
            };
            let Some(call) = next else { return };
            match call.send(Turn { gate: Some(gate) }) {
                Ok(()) => return,
                // Nobody waits there any more: take the turn back without passing it on twice.
                Err(mut turn) => match turn.gate.take() {
                    Some(back) => gate = back,
                    None => return,
                },
            }
        }
    }
}

/// The right to write now; passed on when dropped.
#[derive(Debug)]
struct Turn {
    gate: Option<Arc<Gate>>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(gate) = self.gate.take() {
            gate.pass_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn engine_writes_go_first_and_a_vanished_waiter_is_skipped() {
        let gate = Arc::new(Gate::default());
        let first = Gate::enter(&gate, Class::Background).await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let wait = |class: Class, name: &'static str| {
            let (gate, order) = (Arc::clone(&gate), Arc::clone(&order));
            tokio::spawn(async move {
                let turn = Gate::enter(&gate, class).await;
                order.lock().unwrap_or_else(PoisonError::into_inner).push(name);
                drop(turn);
            })
        };
        let mut tasks = Vec::new();
        for (class, name) in
            [(Class::Background, "log"), (Class::Request, "a"), (Class::Engine, "gone"), (Class::Engine, "claim"), (Class::Request, "b")]
        {
            tasks.push(wait(class, name));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tasks.remove(2).abort();
        tokio::time::sleep(Duration::from_millis(5)).await;
        drop(first);
        for task in tasks {
            let _ = task.await;
        }
        assert_eq!(*order.lock().unwrap_or_else(PoisonError::into_inner), ["claim", "a", "b", "log"]);
        assert!(!gate.queue().is_held);
    }
}
