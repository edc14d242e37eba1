//! The keyring in a file: made once, refused when it is not the right one, rotated while others work.

use std::{fs, path::PathBuf, sync::Arc};

use eyrie_core::{
    Error, ErrorKind, Eyrie,
    model::{NewSecret, Owner, Plan, Principal, RunState},
    secret::{KeyFile, KeyVersion, Keyring as _},
};
use eyrie_tests::world::{Ground, Kind, World, quick};
use serde_json::json;

use super::{CANARY, babbling, naming, secret};

fn path(ground: &Ground) -> PathBuf {
    ground.dir.path().join("eyrie.keyring")
}

async fn world(ground: &Ground) -> World {
    World::with(ground, quick(), |builder| babbling(builder).key_file(path(ground))).await
}

async fn refusal(ground: &Ground) -> Error {
    Eyrie::builder(Arc::clone(&ground.store)).without_worker().key_file(path(ground)).start().await.unwrap_err()
}

fn babble(id: eyrie_core::id::SecretId) -> Plan {
    Plan::builder().step("babble", "babble", |step| step.parameters(json!({ "secret": naming(id) }))).build().unwrap()
}

async fn refuses_another_keyring_on(kind: Kind) {
    let ground = Ground::new(kind).await;
    let first = world(&ground).await;
    let id = secret(&first, "password", CANARY).await;
    first.eyrie.shutdown().await;
    let whole = fs::read(path(&ground)).unwrap();
    fs::remove_file(path(&ground)).unwrap();
    let missing = refusal(&ground).await;
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert!(missing.to_string().contains("needs key version 1"), "{missing}");
    assert!(!path(&ground).exists(), "nothing is made in its place");
    drop(KeyFile::create(path(&ground)).unwrap());
    let other = fs::read(path(&ground)).unwrap();
    let wrong = refusal(&ground).await;
    assert_eq!(wrong.kind(), ErrorKind::Incompatible);
    assert!(wrong.to_string().contains("needs key version 1 (1 values"), "{wrong}");
    assert_eq!(fs::read(path(&ground)).unwrap(), other, "nothing is overwritten");
    fs::write(path(&ground), &whole[..whole.len() / 2]).unwrap();
    let cut = refusal(&ground).await;
    assert_eq!(cut.kind(), ErrorKind::Corrupt);
    assert!(cut.to_string().contains("cut short") && cut.to_string().contains("needs key version 1"), "{cut}");
    assert_eq!(fs::read(path(&ground)).unwrap(), &whole[..whole.len() / 2]);
    fs::write(path(&ground), &whole).unwrap();
    let again = world(&ground).await;
    assert_eq!(again.run(babble(id)).await.run.state, RunState::Succeeded);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_keyring_is_refused_by_a_file() {
    refuses_another_keyring_on(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_keyring_is_refused_on_a_server() {
    refuses_another_keyring_on(Kind::Postgres).await;
}

async fn rotates_on(kind: Kind) {
    let ground = Ground::new(kind).await;
    let server = world(&ground).await;
    let id = secret(&server, "password", CANARY).await;
    let retired = server.me.retire_key(KeyVersion::FIRST).await.unwrap_err();
    assert_eq!(retired.kind(), ErrorKind::Conflict, "the newest key stays");

    // Another process rotates and retires, while this one knows nothing of it.
    let other = Eyrie::builder(Arc::clone(&ground.another().await.store)).without_worker().key_file(path(&ground)).start().await.unwrap();
    let operator = other.acting_as(Principal::local_operator());
    assert_eq!(operator.rotate_keyring().await.unwrap(), KeyVersion::new(2));
    operator.reseal_secrets().await.unwrap();
    let status = operator.keyring_status().await.unwrap();
    let counts: Vec<_> = status.iter().map(|key| (key.version.number(), key.values, key.newest)).collect();
    assert_eq!(counts, [(1, 0, false), (2, 1, true)]);
    operator.retire_key(KeyVersion::FIRST).await.unwrap();
    assert!(operator.retire_key(KeyVersion::FIRST).await.unwrap_err().is_not_found());

    assert_eq!(server.run(babble(id)).await.run.state, RunState::Succeeded, "it looks for the new key");
    let owner = Owner::Project(server.deployment.project_id);
    let new = server.me.create_secret(owner, NewSecret::new("new", CANARY).unwrap()).await.unwrap();
    let view = server.me.secret(new.id).await.unwrap();
    assert_eq!(view.values[0].key_version, KeyVersion::new(2), "nothing is sealed by a key that was given up");
    assert_eq!(server.me.keyring_status().await.unwrap().len(), 1);
    assert_eq!(KeyFile::open(path(&ground)).unwrap().keys().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_rotated_beside_a_server_on_a_file() {
    rotates_on(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_rotated_beside_a_server_on_a_server() {
    rotates_on(Kind::Postgres).await;
}

/// A rotation that ended between the keyring and the store goes on; so does one that ended before everything was sealed anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_rotation_goes_on() {
    let ground = Ground::new(Kind::Sqlite).await;
    let first = world(&ground).await;
    let id = secret(&first, "password", CANARY).await;
    first.eyrie.shutdown().await;
    KeyFile::open(path(&ground)).unwrap().add_key().unwrap();
    let second = world(&ground).await;
    let status = second.me.keyring_status().await.unwrap();
    assert_eq!(status.iter().map(|key| key.version.number()).collect::<Vec<_>>(), [1, 2], "the key is known now");
    for _ in 0..200 {
        if second.me.keyring_status().await.unwrap()[1].values == 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    second.me.retire_key(KeyVersion::FIRST).await.unwrap();
    assert_eq!(second.run(babble(id)).await.run.state, RunState::Succeeded);
}

/// Two values that change places in the database open no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_that_change_places_do_not_open() {
    let ground = Ground::new(Kind::Sqlite).await;
    let world = world(&ground).await;
    let (one, two) = (secret(&world, "one", CANARY).await, secret(&world, "two", "something else").await);
    let swap = "CREATE TABLE moved AS SELECT secret_id, sealed FROM secret_values; \
        UPDATE secret_values SET sealed = (SELECT sealed FROM moved WHERE moved.secret_id <> secret_values.secret_id); DROP TABLE moved;";
    ground.sql(swap).await;
    for id in [one, two] {
        let view = world.run(babble(id)).await;
        assert_eq!(view.run.state, RunState::Failed);
        let said = &view.run.message;
        assert!(said.contains("a secret could not be opened") && said.contains("does not open with key version 1"), "{said}");
    }
    let resealed = world.me.rotate_keyring().await.unwrap();
    assert_eq!(resealed, KeyVersion::new(2));
    assert_eq!(world.me.reseal_secrets().await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(world.me.retire_key(KeyVersion::FIRST).await.unwrap_err().kind(), ErrorKind::Conflict, "the values still need it");
}
