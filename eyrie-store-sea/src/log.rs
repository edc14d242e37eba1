//! Run logs.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use eyrie_core::{
    Result,
    id::RunId,
    store::{LogChunk, LogStore},
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use crate::{
    entity::{
        column::{count, micros},
        log_chunk::{Column, Entity},
    },
    error::Failure,
    listing::all_found,
    rows::{
        FromRow,
        Kind::{Bytes, Int, Uuid},
        RowStatement, RowTx, Rows, from_row,
    },
    store::SeaStore,
    writer::Class,
};

/// The most text of one run's log, in bytes.
const MAX_LOG: i64 = 64 * 1024 * 1024;
const CUT: &str = "[the log is cut here: a run's log holds at most 64 MiB]\n";

/// The sizes have a table of their own: who writes logs must not make the engine wait for a run's row.
static BEGIN: RowStatement = RowStatement::written(
    &[("run_id", Uuid)],
    "INSERT INTO run_logs (run_id, size) SELECT id, 0 FROM runs WHERE id = ?1 ON CONFLICT (run_id) DO NOTHING",
);
static SIZES: RowStatement = RowStatement::select(LogSize::COLUMNS, "run_logs", &[("run_id", Uuid)], "").locking();
static GROW: RowStatement = RowStatement::update("run_logs", 1, &[("run_id", Uuid), ("size", Int)]);
static APPEND: RowStatement = RowStatement::insert(
    "log_chunks",
    &[("run_id", Uuid), ("start_offset", Int), ("end_offset", Int), ("step", Int), ("at", Int), ("text", Bytes)],
    "",
);

#[derive(Debug)]
struct LogSize {
    run_id: sea_orm::prelude::Uuid,
    size: i64,
}

from_row!(LogSize { run_id, size });

#[async_trait]
impl LogStore for SeaStore {
    async fn append_log(&self, chunks: &[LogChunk]) -> Result<()> {
        if chunks.is_empty() {
            return Ok(());
        }
        let chunks: Arc<[LogChunk]> = chunks.into();
        self.rows(Class::Background, "append log", move |tx| append(tx, Arc::clone(&chunks))).await
    }

    async fn read_log(&self, run: RunId, offset: u64, max_bytes: usize) -> Result<Vec<LogChunk>> {
        // Offsets have no gaps, so the bytes asked for are those between two offsets.
        let until = offset.saturating_add(max_bytes.max(1) as u64);
        let select = Entity::find()
            .filter(Column::RunId.eq(run.uuid()))
            .filter(Column::EndOffset.gt(count(offset)))
            .filter(Column::StartOffset.lt(count(until)))
            .order_by_asc(Column::EndOffset);
        let mut found: Vec<LogChunk> = all_found(self.read(), "run log", select).await?;
        let mut bytes = 0;
        let fitting = found.iter().take_while(|chunk| {
            bytes += chunk.text.len();
            bytes <= max_bytes
        });
        let fitting = fitting.count().max(1);
        found.truncate(fitting);
        Ok(found)
    }
}

async fn append(mut tx: RowTx, chunks: Arc<[LogChunk]>) -> Result<(), Failure> {
    let at = micros(tx.now());
    let mut runs: Vec<_> = chunks.iter().map(|chunk| chunk.run_id.uuid()).collect();
    runs.sort_unstable();
    runs.dedup();
    let runs: Rows = runs.into_iter().map(|run| [run.into()]).collect();
    let mut found: Vec<LogSize> = tx.read(&SIZES, runs.clone()).await?;
    if found.len() < runs.len() {
        tx.execute(&BEGIN, runs.clone()).await?;
        found = tx.read(&SIZES, runs).await?;
    }
    let mut sizes: HashMap<_, i64> = found.into_iter().map(|log| (log.run_id, log.size)).collect();
    let mut rows = Rows::default();
    for chunk in chunks.iter() {
        let run = chunk.run_id.uuid();
        let Some(size) = sizes.get_mut(&run) else { continue };
        if *size >= MAX_LOG || chunk.text.is_empty() {
            continue;
        }
        let fits = *size + count(chunk.text.len() as u64) <= MAX_LOG;
        let text = if fits { chunk.text.as_str() } else { CUT };
        let end = *size + count(text.len() as u64);
        rows.push([run.into(), (*size).into(), end.into(), i64::from(chunk.step.get()).into(), at.into(), text.as_bytes().into()]);
        *size = if fits { end } else { end.max(MAX_LOG) };
    }
    if rows.is_empty() {
        return Ok(());
    }
    tx.execute(&APPEND, rows).await?;
    tx.execute(&GROW, sizes.into_iter().map(|(run, size)| [run.into(), size.into()]).collect()).await?;
    tx.commit().await
}
