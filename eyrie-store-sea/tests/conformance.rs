//! The suite that every store passes.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};

use eyrie_store_sea::{Options, SeaStore, Synchronous};

#[tokio::test(flavor = "multi_thread")]
async fn the_store_is_as_its_contract_says() {
    let folder = tempfile::tempdir().unwrap_or_else(|error| unreachable!("no temporary folder: {error}"));
    let count = AtomicU32::new(0);
    let path = |number: u32| -> PathBuf { folder.path().join(format!("{number}.db")) };
    eyrie_core::conformance::store(async || {
        let url = format!("sqlite:{}", path(count.fetch_add(1, Ordering::Relaxed)).display());
        let options = Options::new(url).synchronous(Synchronous::Normal);
        Box::pin(SeaStore::open_with(options)).await.unwrap_or_else(|error| unreachable!("the store does not open: {error}"))
    })
    .await;
}
