//! Run logs.

use async_trait::async_trait;

use super::{MemoryStore, state::RunRecord};
use crate::{
    error::Result,
    id::RunId,
    store::{LogChunk, LogStore},
};

fn end(chunk: &LogChunk) -> u64 {
    chunk.offset + chunk.text.len() as u64
}

#[async_trait]
impl LogStore for MemoryStore {
    async fn append_log(&self, chunks: &[LogChunk]) -> Result<()> {
        let mut state = self.state();
        let at = self.now();
        for chunk in chunks.iter().filter(|chunk| !chunk.text.is_empty()) {
            if let Some(RunRecord { log, .. }) = state.runs.get_mut(&chunk.run_id) {
                let offset = log.last().map_or(0, end);
                log.push(LogChunk { offset, at, ..chunk.clone() });
            }
        }
        Ok(())
    }

    async fn read_log(&self, run: RunId, offset: u64, max_bytes: usize) -> Result<Vec<LogChunk>> {
        let state = self.state();
        let log = state.runs.get(&run).map_or(&[][..], |record| &record.log);
        let behind = log.get(log.partition_point(|chunk| end(chunk) <= offset)..).unwrap_or_default();
        let mut bytes = 0;
        let fits = |(place, chunk): &(usize, &LogChunk)| {
            bytes += chunk.text.len();
            *place == 0 || bytes <= max_bytes
        };
        Ok(behind.iter().enumerate().take_while(fits).map(|(_, chunk)| chunk.clone()).collect())
    }
}
