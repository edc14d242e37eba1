//! The suite that every store passes, on PostgreSQL.

use eyrie_store_sea::SeaStore;
use eyrie_tests::postgres::Server;

#[tokio::test(flavor = "multi_thread")]
async fn postgres_is_as_the_contract_says() {
    let all = eyrie_core::conformance::store(async || {
        let url = Server::shared_by_all().database().await;
        Box::pin(SeaStore::open(&url)).await.expect("the store opens")
    });
    Box::pin(all).await;
}
