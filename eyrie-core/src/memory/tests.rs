//! The store in memory against the suite that every store passes.

use super::MemoryStore;
use crate::conformance;

#[tokio::test]
async fn conformance() {
    conformance::store(async || MemoryStore::new()).await;
}
