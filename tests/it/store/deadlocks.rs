//! Writes that get in each other's way on a server.

use std::{sync::Arc, time::Duration};

use eyrie_core::{
    conformance::fixtures::{audit, audited, kept_user, token},
    model::{TokenBinding, TokenKind, User},
    store::{TokenStore, UserStore},
};
use eyrie_store_sea::SeaStore;
use eyrie_tests::{postgres::Server, scripts::wait_until};
use sea_orm::{ConnectionTrait, Database, Statement, TransactionOptions, TransactionTrait};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_loses_a_deadlock_is_begun_anew() {
    let server = Server::shared_by_all();
    let url = server.database().await;
    let database = url.rsplit('/').next().expect("a name");
    // Who has waited that long looks for a deadlock, and is the one that is ended.
    server.sql("postgres", &format!("ALTER DATABASE {database} SET deadlock_timeout = '2s'")).await;
    let store = Arc::new(SeaStore::open(&url).await.expect("the store opens"));
    let eva = kept_user(&*store, "eva").await;
    let session = token(TokenKind::Session, TokenBinding::User(eva.id), Some(eva.id));
    store.create_token(&session, &audit("token.create")).await.expect("the token is kept");

    let db = Database::connect(&url).await.expect("the server answers");
    let other = db.begin_with_options(TransactionOptions::default()).await.expect("a transaction");
    other.execute_unprepared("SET LOCAL deadlock_timeout = '1min'").await.expect("it may");
    other.execute_unprepared("UPDATE tokens SET created_at = created_at").await.expect("the token is locked");
    let entry = audit("user.update");
    let (writer, changed, kept) = (Arc::clone(&store), User { disabled: true, ..eva.clone() }, entry.clone());
    // The user first, then the sessions.
    let write = tokio::spawn(async move { writer.update_user(&changed, true, &kept).await });
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    wait_until(Duration::from_secs(20), "the write waits for the token", async || {
        let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), waiting)).await.expect("the server answers");
        row.expect("a count").try_get_by_index::<i64>(0).expect("a count") > 0
    })
    .await;
    other.execute_unprepared("UPDATE users SET created_at = created_at").await.expect("the write has let go of the user");
    assert!(!write.is_finished(), "it was ended without anybody's hearing of it");
    other.commit().await.expect("the transaction commits");

    write.await.expect("the task ends well").expect("the write succeeds");
    assert_eq!(store.user(eva.id).await.expect("a user"), User { disabled: true, version: 2, ..eva });
    assert!(store.token(session.id).await.expect("a token").revoked_at.is_some());
    assert_eq!(audited(&*store, &entry).await, [entry], "once");
}
