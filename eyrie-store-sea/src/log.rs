//! Run logs.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use eyrie_core::{
    Result,
    id::RunId,
    store::{LogBound, LogChunk, LogPiece, LogStore},
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
/// Chunks that lie between two offsets as a whole.
static DROP: RowStatement = RowStatement::written(
    &[("run_id", Uuid), ("from", Int), ("until", Int)],
    "DELETE FROM log_chunks WHERE run_id = ?1 AND end_offset > ?2 AND end_offset <= ?3 AND start_offset >= ?2",
);
/// How long the log has become, and where what is kept of it behind an offset begins.
static EXTENT: RowStatement = RowStatement::query(Extent::COLUMNS, &[("run_id", Uuid), ("offset", Int)], "run_logs WHERE run_id = ?1");

#[derive(Debug)]
struct Extent {
    size: i64,
    next: Option<i64>,
}

from_row!(Extent {
    size,
    next = "(SELECT start_offset FROM log_chunks WHERE run_id = ?1 AND end_offset > ?2 ORDER BY end_offset LIMIT 1)",
});

#[derive(Debug)]
struct LogSize {
    run_id: sea_orm::prelude::Uuid,
    size: i64,
}

from_row!(LogSize { run_id, size });

#[async_trait]
impl LogStore for SeaStore {
    async fn append_log(&self, chunks: &[LogChunk], bound: LogBound) -> Result<()> {
        if chunks.is_empty() {
            return Ok(());
        }
        let chunks: Arc<[LogChunk]> = chunks.into();
        self.rows(Class::Background, "append log", move |tx| append(tx, Arc::clone(&chunks), bound)).await
    }

    async fn read_log(&self, run: RunId, offset: u64, max_bytes: usize) -> Result<LogPiece> {
        let row = Rows::from_iter([[run.uuid().into(), count(offset).into()]]);
        // The size is read before the chunks: what it counts and they do not hold is no longer kept.
        let extent = self.read_rows::<Extent, Extent>("run log", &EXTENT, row).await?.pop();
        let size = extent.as_ref().map_or(0, |extent| extent.size).unsigned_abs();
        let mut chunks = Vec::new();
        if let Some(next) = extent.and_then(|extent| extent.next) {
            // But for what was dropped before them, offsets have no gaps: the bytes asked for are those between two offsets.
            let until = count(offset).max(next).saturating_add_unsigned(max_bytes.max(1) as u64);
            let select = Entity::find()
                .filter(Column::RunId.eq(run.uuid()))
                .filter(Column::EndOffset.gt(count(offset)))
                .filter(Column::StartOffset.lt(until))
                .order_by_asc(Column::EndOffset);
            chunks = all_found(self.read(), "run log", select).await?;
        }
        let mut bytes = 0;
        let fitting = chunks.iter().take_while(|chunk: &&LogChunk| {
            bytes += chunk.text.len();
            bytes <= max_bytes
        });
        let fitting = fitting.count().max(1);
        chunks.truncate(fitting);
        Ok(LogPiece { from: offset, end: chunks.last().map_or(offset.max(size), LogChunk::end), chunks })
    }
}

async fn append(mut tx: RowTx, chunks: Arc<[LogChunk]>, bound: LogBound) -> Result<(), Failure> {
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
    for chunk in chunks.iter().filter(|chunk| !chunk.text.is_empty()) {
        let run = chunk.run_id.uuid();
        let Some(size) = sizes.get_mut(&run) else { continue };
        let end = *size + count(chunk.text.len() as u64);
        rows.push([run.into(), (*size).into(), end.into(), i64::from(chunk.step.get()).into(), at.into(), chunk.text.as_bytes().into()]);
        *size = end;
    }
    if rows.is_empty() {
        return Ok(());
    }
    let dropped = sizes.iter().filter_map(|(run, size)| Some((run, bound.dropped(size.unsigned_abs())?)));
    let dropped = dropped.map(|(run, range)| [(*run).into(), count(range.start).into(), count(range.end).into()]).collect();
    tx.execute(&APPEND, rows).await?;
    tx.execute(&DROP, dropped).await?;
    tx.execute(&GROW, sizes.into_iter().map(|(run, size)| [run.into(), size.into()]).collect()).await?;
    tx.commit().await
}
