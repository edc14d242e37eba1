//! Run logs.

use std::collections::HashMap;

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
    listing::all_found,
    rows::{
        FromRow,
        Kind::{Int, Text, Uuid},
        RowStatement, Rows, from_row,
    },
    store::{SeaStore, now},
    writer::Class,
};

/// The most text of one run's log, in bytes.
const MAX_LOG: i64 = 64 * 1024 * 1024;
const CUT: &str = "[the log is cut here: a run's log holds at most 64 MiB]\n";

static SIZES: RowStatement = RowStatement::select(LogSize::COLUMNS, "runs", &[("id", Uuid)], "");
static GROW: RowStatement = RowStatement::update("runs", 1, &[("id", Uuid), ("log_size", Int)]);
static APPEND: RowStatement = RowStatement::insert(
    "log_chunks",
    &[("run_id", Uuid), ("start_offset", Int), ("end_offset", Int), ("step", Int), ("at", Int), ("text", Text)],
    "",
);

#[derive(Debug)]
struct LogSize {
    id: sea_orm::prelude::Uuid,
    log_size: i64,
}

from_row!(LogSize { id, log_size });

#[async_trait]
impl LogStore for SeaStore {
    async fn append_log(&self, chunks: &[LogChunk]) -> Result<()> {
        if chunks.is_empty() {
            return Ok(());
        }
        let chunks = chunks.to_vec();
        self.rows(Class::Background, "append log", move |mut tx| async move {
            let at = micros(now());
            let mut runs: Vec<_> = chunks.iter().map(|chunk| chunk.run_id.uuid()).collect();
            runs.sort_unstable();
            runs.dedup();
            let found: Vec<LogSize> = tx.read(&SIZES, runs.into_iter().map(|run| [run.into()]).collect()).await?;
            let mut sizes: HashMap<_, i64> = found.into_iter().map(|run| (run.id, run.log_size)).collect();
            let mut rows = Rows::default();
            for chunk in chunks {
                let run = chunk.run_id.uuid();
                let Some(size) = sizes.get_mut(&run) else { continue };
                if *size >= MAX_LOG || chunk.text.is_empty() {
                    continue;
                }
                let fits = *size + count(chunk.text.len() as u64) <= MAX_LOG;
                let text = if fits { chunk.text } else { CUT.to_owned() };
                let end = *size + count(text.len() as u64);
                rows.push([run.into(), (*size).into(), end.into(), i64::from(chunk.step.get()).into(), at.into(), text.into()]);
                *size = if fits { end } else { end.max(MAX_LOG) };
            }
            if rows.is_empty() {
                return Ok(());
            }
            tx.execute(&APPEND, rows).await?;
            tx.execute(&GROW, sizes.into_iter().map(|(run, size)| [run.into(), size.into()]).collect()).await?;
            tx.commit().await
        })
        .await
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
