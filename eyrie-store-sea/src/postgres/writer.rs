//! Transactions on the server: begun anew when others were in the way, and never left without a known end.

use std::{
    future::Future,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use eyrie_core::{Error, ErrorKind, Timestamp, clock::from_micros};
use sea_orm::{
    ConnectionTrait, SqlxPostgresConnector, Statement, TransactionOptions, TransactionTrait,
    prelude::Uuid,
    sqlx::{self, PgPool},
};
use tokio::runtime::Handle;

use crate::{
    error::Failure,
    postgres::{
        Announcer, Connections, PgTx,
        clock::ServerClock,
        rows::{Texts, all_or_none, rows_of_pool},
    },
    rows::{FromRow, RowStatement, RowTx, Rows},
    writer::{Class, Held, WriteTx},
};

/// How often a transaction is begun anew when others were in its way.
const ATTEMPTS: u32 = 8;

/// Runs write transactions.
#[derive(Debug, Clone)]
pub(crate) struct PostgresWriter {
    write: PgPool,
    engine: PgPool,
    rows: PgPool,
    announcer: Announcer,
    patience: Duration,
    own: Handle,
    texts: Arc<Texts>,
    clock: Arc<ServerClock>,
}

/// What the end of a transaction needs.
#[derive(Debug)]
pub(crate) struct Ending {
    writer: PostgresWriter,
    xact: String,
    proof: OnceLock<Uuid>,
    now: Timestamp,
}

impl PostgresWriter {
    /// A writer that asks for up to `patience` how a commit without an answer ended; `own` is the store's own runtime, on which
    /// alone these connections are used.
    pub(crate) fn new(connections: &Connections, announcer: Announcer, patience: Duration, own: Handle) -> Self {
        let Connections { write, engine, rows, .. } = connections;
        let (write, engine, rows) = (write.clone(), engine.clone(), rows.clone());
        Self { write, engine, rows, announcer, patience, own, texts: Arc::default(), clock: Arc::default() }
    }

    /// Reads what the statement finds for all rows.
    pub(crate) async fn read<M: FromRow>(&self, statement: &'static RowStatement, rows: Rows) -> Result<Vec<M>, Failure> {
        let writer = self.clone();
        let read = async move { passing_over_broken(&writer.rows, || rows_of_pool(&writer.rows, statement, &rows)).await };
        self.to_its_end(read).await
    }

    /// Runs `work` in a transaction of rows, again when others were in its way.
    pub(crate) async fn rows<T, F, Work>(&self, work: F) -> Result<T, Failure>
    where
        F: Fn(RowTx) -> Work + Send + Sync + 'static,
        Work: Future<Output = Result<T, Failure>> + Send,
        T: Send + 'static,
    {
        let writer = self.clone();
        self.to_its_end(async move {
            let transaction = || async {
                let tx = passing_over_broken(&writer.engine, || PgTx::begin(&writer, &writer.engine, writer.own.clone())).await?;
                work(RowTx::Postgres(tx)).await
            };
            anew(writer.patience, transaction).await
        })
        .await
    }

    /// Carries several statements out as a transaction of its own: all of them, if each of the first `checked` hits all its rows.
    /// Without an answer it is not known whether they were; whoever asks again finds out by what they would have written.
    pub(crate) async fn all_or_none(&self, all: Vec<(&'static RowStatement, Rows)>, checked: usize) -> Result<(), Failure> {
        let writer = self.clone();
        self.to_its_end(async move {
            let done = all_or_none(&writer.engine, &writer.texts, &all, checked).await;
            if done.is_ok() {
                writer.announcer.announce();
            }
            done
        })
        .await
    }

    /// The server's time, if it was heard of lately.
    pub(crate) fn time(&self) -> Option<Timestamp> {
        self.clock.now()
    }

    pub(super) fn texts(&self) -> &Arc<Texts> {
        &self.texts
    }

    /// Runs `work` in a transaction, again when others were in its way.
    pub(crate) async fn write<T, F, Work>(&self, class: Class, work: F) -> Result<T, Failure>
    where
        F: FnOnce(WriteTx) -> Work + Clone + Send + Sync + 'static,
        Work: Future<Output = Result<T, Failure>> + Send,
        T: Send + 'static,
    {
        let writer = self.clone();
        self.to_its_end(async move {
            let pool = if class == Class::Engine { &writer.engine } else { &writer.write };
            let transaction = || async {
                let transaction = passing_over_broken(pool, || writer.begin(pool)).await?;
                work.clone()(transaction).await
            };
            anew(writer.patience, transaction).await
        })
        .await
    }

    async fn begin(&self, pool: &PgPool) -> Result<WriteTx, Failure> {
        let db = SqlxPostgresConnector::from_sqlx_postgres_pool(pool.clone());
        let transaction = db.begin_with_options(TransactionOptions::default()).await?;
        let statement = Statement::from_string(transaction.get_database_backend(), stamp!());
        let stamp = transaction.query_one_raw(statement).await?.ok_or_else(|| Failure::missing("clock"))?;
        let (micros, xact): (i64, String) = (stamp.try_get_by_index(0)?, stamp.try_get_by_index(1)?);
        let ending = Ending::new(self.clone(), micros, xact);
        Ok(WriteTx::new(transaction, Held::Ending(ending)))
    }

    /// Goes on to the end also when the caller goes away.
    async fn to_its_end<T: Send + 'static>(&self, work: impl Future<Output = Result<T, Failure>> + Send + 'static) -> Result<T, Failure> {
        let stopped = |error| Error::new(ErrorKind::OutcomeUnknown, "write", "the write was stopped").with_source(error).into();
        self.own.spawn(work).await.unwrap_or_else(|error| Err(stopped(error)))
    }

    /// Closes the connections, once their transactions have ended.
    pub(crate) async fn close(&self) {
        self.announcer.close();
        self.rows.close().await;
        self.engine.close().await;
        self.write.close().await;
    }

    /// How the transaction ended. None: it is not known.
    ///
    /// A server that lost its memory gives the ids of transactions that it lost to others. So an id whose transaction is said to have
    /// failed did fail, and one that is said to be committed may be another's: `proof` is an audit entry that was kept with it.
    async fn outcome(&self, xact: &str, proof: Option<Uuid>) -> Option<bool> {
        let begun = Instant::now();
        let mut pause = Duration::from_millis(10);
        while begun.elapsed() < self.patience {
            let status: Result<Option<String>, _> =
                sqlx::query_scalar("SELECT pg_xact_status($1::text::xid8)").bind(xact).fetch_one(&self.engine).await;
            match status.as_ref().map(Option::as_deref) {
                Ok(Some("aborted")) => return Some(false),
                Ok(Some("committed")) => {
                    let kept = "SELECT EXISTS (SELECT 1 FROM audit_entries WHERE id = $1)";
                    if let Ok(is_kept) = sqlx::query_scalar::<_, bool>(kept).bind(proof?).fetch_one(&self.engine).await {
                        return Some(is_kept);
                    }
                }
                // Too old to be remembered: it ended long ago, and nobody waits so long.
                Ok(None) => return None,
                Ok(Some(_)) | Err(_) => {}
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(500));
        }
        None
    }
}

impl Ending {
    /// Of the transaction with that id, begun at that time of the database's, in microseconds since 1970.
    pub(super) fn new(writer: PostgresWriter, micros: i64, xact: String) -> Self {
        writer.clock.heard(micros);
        Self { writer, xact, proof: OnceLock::new(), now: from_micros(micros) }
    }

    /// The transaction keeps this audit entry: where it is found, the transaction took effect.
    pub(crate) fn prove_by(&self, entry: Uuid) {
        self.proof.get_or_init(|| entry);
    }

    /// The database's time when the transaction began.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// Takes the answer to a commit. When there was none, it asks the server what became of the transaction. Of what the engine writes
    /// only a failure can be found out that way; it asks for the rest again, under the same ids.
    pub(crate) async fn of(self, done: Result<(), Failure>) -> Result<(), Failure> {
        let done = match done {
            Err(failure @ Failure::Commit(_)) if failure.is_without_answer() => {
                match self.writer.outcome(&self.xact, self.proof.get().copied()).await {
                    Some(true) => Ok(()),
                    Some(false) => {
                        Err(Error::new(ErrorKind::Unavailable, "write", "the server went away before the commit took effect").into())
                    }
                    None => Err(failure),
                }
            }
            done => done,
        };
        if done.is_ok() {
            self.writer.announcer.announce();
        }
        done
    }
}

/// Carries out a transaction, again when others were in its way, for as long as `patience` has not run out.
async fn anew<T, Doing>(patience: Duration, transaction: impl Fn() -> Doing) -> Result<T, Failure>
where
    Doing: Future<Output = Result<T, Failure>>,
{
    let begun = Instant::now();
    let mut attempt = 1;
    loop {
        match transaction().await {
            Err(failure) if failure.is_in_the_way() && attempt < ATTEMPTS && begun.elapsed() < patience => {
                tracing::debug!(%failure, attempt, "a transaction is begun anew");
                tokio::time::sleep(Duration::from_millis(1 << attempt)).await;
                attempt += 1;
            }
            done => return done,
        }
    }
}

/// Does something that has no consequences yet, again as long as the pool has connections left that turn out to be broken.
async fn passing_over_broken<T, Doing>(pool: &PgPool, mut attempt: impl FnMut() -> Doing) -> Result<T, Failure>
where
    Doing: Future<Output = Result<T, Failure>>,
{
    let mut left = pool.options().get_max_connections();
    loop {
        match attempt().await {
            Err(failure) if failure.is_unreachable() && left > 0 => left -= 1,
            done => return done,
        }
    }
}
