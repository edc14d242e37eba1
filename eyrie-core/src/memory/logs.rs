//! Run logs.

use async_trait::async_trait;

use super::{MemoryStore, state::RunRecord};
use crate::{
    error::Result,
    id::RunId,
    store::{LogBound, LogChunk, LogPiece, LogStore},
};

#[async_trait]
impl LogStore for MemoryStore {
    async fn append_log(&self, chunks: &[LogChunk], bound: LogBound) -> Result<()> {
        let mut state = self.state();
        let at = self.now();
        for chunk in chunks.iter().filter(|chunk| !chunk.text.is_empty()) {
            if let Some(RunRecord { log, log_end, .. }) = state.runs.get_mut(&chunk.run_id) {
                log.push(LogChunk { offset: *log_end, at, ..chunk.clone() });
                *log_end += chunk.text.len() as u64;
                if let Some(dropped) = bound.dropped(*log_end) {
                    let first = log.partition_point(|chunk| chunk.offset < dropped.start);
                    let behind = log.partition_point(|chunk| chunk.end() <= dropped.end);
                    drop(log.drain(first..behind.max(first)));
                }
            }
        }
        Ok(())
    }

    async fn read_log(&self, run: RunId, offset: u64, max_bytes: usize) -> Result<LogPiece> {
        let state = self.state();
        let (log, log_end) = state.runs.get(&run).map_or((&[][..], 0), |record| (&record.log, record.log_end));
        let behind = log.get(log.partition_point(|chunk| chunk.end() <= offset)..).unwrap_or_default();
        let mut bytes = 0;
        let fits = |(place, chunk): &(usize, &LogChunk)| {
            bytes += chunk.text.len();
            *place == 0 || bytes <= max_bytes
        };
        let chunks: Vec<_> = behind.iter().enumerate().take_while(fits).map(|(_, chunk)| chunk.clone()).collect();
        Ok(LogPiece { from: offset, end: chunks.last().map_or(offset.max(log_end), LogChunk::end), chunks })
    }
}
