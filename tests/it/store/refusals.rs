//! Addresses, servers and databases that will not do: one clear error, and nothing is written.

use eyrie_core::ErrorKind;
use eyrie_store_sea::SeaStore;
use eyrie_tests::postgres::Server;

async fn refused(url: &str) -> (ErrorKind, String) {
    let error = SeaStore::open(url).await.expect_err(url);
    let text = error.to_string();
    assert!(!text.contains("not-a-secret"), "{text}");
    (error.kind(), text)
}

#[tokio::test]
async fn what_cannot_be_opened_is_said_clearly() {
    let server = Server::shared_by_all();
    let (kind, text) = refused("postgres://[").await;
    assert!(kind == ErrorKind::Invalid && text.contains("url"), "{text}");
    let (kind, text) = refused(&server.url_of("nowhere")).await;
    assert!(kind == ErrorKind::Invalid && text.contains("there is no database nowhere") && text.contains("createdb"), "{text}");
    let (kind, text) = refused(&server.url_as("eyrie", "wrong", "postgres")).await;
    assert!(kind == ErrorKind::Denied && text.contains("password"), "{text}");
    let (kind, text) = refused("postgres://eyrie@127.0.0.1:1/eyrie").await;
    assert!(kind == ErrorKind::Unavailable && text.contains("cannot be reached"), "{text}");
}

#[tokio::test]
async fn a_user_who_may_do_too_little_is_refused() {
    let server = Server::shared_by_all();
    let url = server.database().await;
    let database = url.rsplit('/').next().expect("a name");
    server.sql("postgres", &format!("CREATE USER poor_{database} PASSWORD 'p'")).await;
    let poor = server.url_as(&format!("poor_{database}"), "p", database);
    let (kind, text) = refused(&poor).await;
    assert!(kind == ErrorKind::Denied && text.contains("GRANT CREATE"), "{text}");
    SeaStore::open(&url).await.expect("the owner opens it").close().await;
    let (kind, text) = refused(&poor).await;
    assert!(kind == ErrorKind::Denied && text.contains("GRANT SELECT"), "{text}");
    server.sql(database, &format!("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO poor_{database}")).await;
    server.sql(database, &format!("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO poor_{database}")).await;
    SeaStore::open(&poor).await.expect("it is enough").close().await;
}

#[tokio::test]
async fn a_database_of_something_else_or_of_a_newer_program_is_left_alone() {
    let server = Server::shared_by_all();
    let url = server.database().await;
    let database = url.rsplit('/').next().expect("a name");
    server.sql(database, "CREATE TABLE recipes (id int)").await;
    let (kind, text) = refused(&url).await;
    assert!(kind == ErrorKind::Incompatible && text.contains("recipes"), "{text}");
    let url = server.database().await;
    let database = url.rsplit('/').next().expect("a name");
    SeaStore::open(&url).await.expect("it opens").close().await;
    server.sql(database, "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_future', 0)").await;
    let (kind, text) = refused(&url).await;
    assert!(kind == ErrorKind::Incompatible && text.contains("newer version (migration m9999_future)"), "{text}");
}
