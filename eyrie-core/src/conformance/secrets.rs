//! Secrets, sealed, and the keys that they are sealed by. Stores never open anything: any bytes do.

use super::fixtures::{audit, chain, done, enqueue, group, kept_deployment, kept_group, kept_project, now, refused};
use crate::{
    error::ErrorKind,
    id::{ProjectId, SecretId},
    model::{DeploymentGroup, Owner, PrincipalRef, Project, RunKind, SealedSecret, SealingKey, Secret, Settings},
    name::SecretName,
    secret::{KeyVersion, SealedValue, SecretRef},
    store::{Enqueue, KEPT_VALUES, PageRequest, Store},
};

const FIRST: KeyVersion = KeyVersion::FIRST;
const SECOND: KeyVersion = KeyVersion::new(2);

fn tester() -> PrincipalRef {
    PrincipalRef::LocalOperator { name: "tester".to_owned() }
}

fn key(version: KeyVersion) -> SealingKey {
    let check = SealedValue { key_version: version, bytes: vec![0, 255, 7] };
    SealingKey { check, created_at: now() }
}

fn secret(project: Option<ProjectId>, name: &str) -> Secret {
    Secret {
        id: SecretId::new(),
        project_id: project,
        name: SecretName::new(name).unwrap(),
        value_version: 1,
        created_at: now(),
        created_by: tester(),
        replaced_at: now(),
        replaced_by: tester(),
        version: 1,
    }
}

fn value(secret: &Secret, version: u64, key_version: KeyVersion) -> SealedSecret {
    let bytes = vec![0, 159, 146, 150, u8::try_from(version % 256).unwrap()];
    let of = SecretRef { id: secret.id, version };
    SealedSecret { of, value: SealedValue { key_version, bytes }, created_at: now(), created_by: tester() }
}

async fn kept_key(store: &dyn Store, version: KeyVersion) {
    store.keep_sealing_key(&key(version), &audit("keyring.manage")).await.unwrap();
}

async fn kept(store: &dyn Store, project: Option<ProjectId>, name: &str) -> Secret {
    let secret = secret(project, name);
    store.create_secret(&secret, &value(&secret, 1, FIRST), &audit("secret.create")).await.unwrap();
    secret
}

/// A secret in a store that has had none.
pub async fn kept_secret(store: &dyn Store, project: ProjectId, name: &str) -> Secret {
    kept_key(store, FIRST).await;
    kept(store, Some(project), name).await
}

/// Gives the secret its next value.
async fn replaced(store: &dyn Store, secret: &Secret) -> Secret {
    let next = Secret { value_version: secret.value_version + 1, ..secret.clone() };
    store.replace_secret_value(&next, &value(&next, next.value_version, FIRST), &audit("secret.update")).await.unwrap();
    Secret { version: next.version + 1, ..next }
}

async fn versions(store: &dyn Store, secret: &Secret) -> Vec<u64> {
    store.secret_values(secret.id).await.unwrap().into_iter().map(|value| value.of.version).collect()
}

/// A secret is read back as it was kept, with its value; lists hold an owner's secrets, and no other's.
pub async fn kept_and_found(store: &dyn Store) {
    kept_key(store, FIRST).await;
    let (mine, other) = (kept_project(store, "mine").await, kept_project(store, "other").await);
    let (first, entry) = (secret(Some(mine.id), "password"), audit("secret.create"));
    let sealed = value(&first, 1, FIRST);
    done(store, &entry, store.create_secret(&first, &sealed, &entry).await).await;
    let second = kept(store, Some(mine.id), "token").await;
    let elsewhere = kept(store, Some(other.id), "password").await;
    let shared = kept(store, None, "password").await;
    assert_eq!(store.secret(first.id).await.unwrap(), first);
    assert_eq!(store.secret_value(first.newest()).await.unwrap(), sealed);
    assert_eq!(store.secret_values(first.id).await.unwrap(), [sealed]);
    assert!(store.secret(SecretId::new()).await.unwrap_err().is_not_found());
    assert!(store.secret_value(SecretRef { version: 2, ..first.newest() }).await.unwrap_err().is_not_found());
    let page = store.secrets(Owner::Project(mine.id), PageRequest::first(1).unwrap()).await.unwrap();
    assert_eq!((page.items, page.next), (vec![first.clone()], Some(first.id.uuid())));
    let rest = store.secrets(Owner::Project(mine.id), PageRequest::default().after(page.next)).await.unwrap();
    assert_eq!(rest.items, [second]);
    assert_eq!(store.secrets(Owner::Project(other.id), PageRequest::default()).await.unwrap().items, [elsewhere]);
    assert_eq!(store.secrets(Owner::Operators, PageRequest::default()).await.unwrap().items, [shared]);

    let late = audit("secret.create");
    for project in [Some(mine.id), None] {
        let twin = secret(project, "password");
        refused(store, ErrorKind::AlreadyExists, &late, store.create_secret(&twin, &value(&twin, 1, FIRST), &late).await).await;
        assert!(store.secret(twin.id).await.unwrap_err().is_not_found());
    }
    let orphan = secret(Some(ProjectId::new()), "password");
    refused(store, ErrorKind::NotFound, &late, store.create_secret(&orphan, &value(&orphan, 1, FIRST), &late).await).await;
    refused(store, ErrorKind::Conflict, &late, store.delete_project(mine.id, &late).await).await;
}

/// A new value needs the stored version. The newest values are kept, and older ones that a plan names.
pub async fn values_are_replaced(store: &dyn Store) {
    kept_key(store, FIRST).await;
    let project = kept_project(store, "project").await;
    let web = kept_group(store, &project, "web").await;
    let shop = kept_deployment(store, &web, "shop").await;
    let mut password = kept(store, Some(project.id), "password").await;
    let (entry, next) = (audit("secret.update"), Secret { value_version: 2, ..password.clone() });
    let sealed = value(&next, 2, FIRST);
    done(store, &entry, store.replace_secret_value(&next, &sealed, &entry).await).await;
    let late = audit("secret.update");
    refused(store, ErrorKind::Conflict, &late, store.replace_secret_value(&next, &value(&next, 3, FIRST), &late).await).await;
    let nobody = secret(Some(project.id), "nobody");
    refused(store, ErrorKind::NotFound, &late, store.replace_secret_value(&nobody, &value(&nobody, 2, FIRST), &late).await).await;
    password = Secret { version: 2, ..next };
    assert_eq!(store.secret(password.id).await.unwrap(), password);
    assert_eq!(store.secret_value(password.newest()).await.unwrap(), sealed);

    let named = Enqueue { secrets: vec![password.newest()], ..enqueue(&shop, RunKind::Deploy, &chain(&["a"])) };
    store.enqueue(&[named]).await.unwrap().pop().unwrap().unwrap();
    for _ in 0..KEPT_VALUES + 1 {
        password = replaced(store, &password).await;
    }
    let newest = password.value_version;
    assert_eq!(versions(store, &password).await, [2, newest - 2, newest - 1, newest], "the plan's, and the newest");
    let gone = Enqueue { secrets: vec![SecretRef { id: password.id, version: 1 }], ..enqueue(&shop, RunKind::Stop, &chain(&["b"])) };
    let run = gone.run.id;
    let answers = store.enqueue(&[gone]).await.map(|mut answers| answers.pop().unwrap());
    assert_eq!(answers.and_then(|answer| answer).unwrap_err().kind(), ErrorKind::Conflict, "a plan with a value that is gone");
    assert!(store.run(run).await.unwrap_err().is_not_found());
}

/// Settings name secrets that are there. A secret that settings or a plan name is not deleted.
pub async fn in_use_is_not_deleted(store: &dyn Store) {
    kept_key(store, FIRST).await;
    let project = kept_project(store, "project").await;
    let password = kept(store, Some(project.id), "password").await;
    let naming = |id: SecretId| Settings::default().with("db", serde_json::json!({ "password": { "$secret": id } })).unwrap();
    let entry = audit("group.create");
    let astray = DeploymentGroup { settings: naming(SecretId::new()), ..group(&project, "astray") };
    refused(store, ErrorKind::NotFound, &entry, store.create_group(&astray, &entry).await).await;
    let web = DeploymentGroup { settings: naming(password.id), ..group(&project, "web") };
    store.create_group(&web, &entry).await.unwrap();
    let delete = audit("secret.delete");
    refused(store, ErrorKind::Conflict, &delete, store.delete_secret(password.id, &delete).await).await;
    let web = DeploymentGroup { settings: Settings::default(), ..web };
    store.update_group(&web, &audit("group.update")).await.unwrap();

    let shop = kept_deployment(store, &web, "shop").await;
    let named = Enqueue { secrets: vec![password.newest()], ..enqueue(&shop, RunKind::Deploy, &chain(&["a"])) };
    store.enqueue(&[named]).await.unwrap().pop().unwrap().unwrap();
    refused(store, ErrorKind::Conflict, &delete, store.delete_secret(password.id, &delete).await).await;
    let token = replaced(store, &kept(store, Some(project.id), "token").await).await;
    let api = DeploymentGroup { settings: naming(token.id), ..group(&project, "api") };
    store.create_group(&api, &audit("group.create")).await.unwrap();
    store.delete_group(api.id, &audit("group.delete")).await.unwrap();
    done(store, &delete, store.delete_secret(token.id, &delete).await).await;
    assert!(store.secret(token.id).await.unwrap_err().is_not_found());
    assert_eq!(versions(store, &token).await, [0; 0]);
    let late = audit("secret.delete");
    refused(store, ErrorKind::NotFound, &late, store.delete_secret(token.id, &late).await).await;
}

/// Nothing is sealed by a key that is not known, and no key is given up while a value needs it.
pub async fn keys_are_kept_while_needed(store: &dyn Store) {
    let project: Project = kept_project(store, "project").await;
    let entry = audit("keyring.manage");
    done(store, &entry, store.keep_sealing_key(&key(FIRST), &entry).await).await;
    let late = audit("keyring.manage");
    refused(store, ErrorKind::AlreadyExists, &late, store.keep_sealing_key(&key(FIRST), &late).await).await;
    let unknown = secret(Some(project.id), "unknown");
    refused(store, ErrorKind::Conflict, &late, store.create_secret(&unknown, &value(&unknown, 1, SECOND), &late).await).await;
    assert!(store.secret(unknown.id).await.unwrap_err().is_not_found());
    let password = kept(store, Some(project.id), "password").await;
    kept_key(store, SECOND).await;
    let known = store.sealing_keys().await.unwrap();
    assert_eq!(known.iter().map(|(key, values)| (key.check.key_version, *values)).collect::<Vec<_>>(), [(FIRST, 1), (SECOND, 0)]);
    assert_eq!(known[0].0.check, key(FIRST).check);
    refused(store, ErrorKind::Conflict, &late, store.retire_sealing_key(FIRST, &late).await).await;

    let old = store.sealed_by_others(SECOND, None, 10).await.unwrap();
    assert_eq!(old, [value(&password, 1, FIRST)].map(|sealed| SealedSecret { created_at: old[0].created_at, ..sealed }));
    let resealed = SealedValue { key_version: SECOND, bytes: vec![9; 9] };
    assert_eq!(store.reseal(&[(old[0].clone(), resealed.clone())]).await.unwrap(), 1);
    assert_eq!(store.secret_value(password.newest()).await.unwrap().value, resealed);
    assert_eq!(store.sealed_by_others(SECOND, None, 10).await.unwrap(), []);
    done(store, &late, store.retire_sealing_key(FIRST, &late).await).await;
    let again = audit("keyring.manage");
    refused(store, ErrorKind::NotFound, &again, store.retire_sealing_key(FIRST, &again).await).await;
    let after = secret(Some(project.id), "after");
    refused(store, ErrorKind::Conflict, &again, store.create_secret(&after, &value(&after, 1, FIRST), &again).await).await;
    refused(store, ErrorKind::Conflict, &again, {
        let next = Secret { value_version: 2, ..password.clone() };
        store.replace_secret_value(&next, &value(&next, 2, FIRST), &again).await
    })
    .await;
    assert_eq!(versions(store, &password).await, [1]);
}

/// Values are sealed anew in small pieces, in an order that goes on behind what was seen, and only as they were read.
pub async fn resealed_in_pieces(store: &dyn Store) {
    kept_key(store, FIRST).await;
    let one = replaced(store, &kept(store, None, "one").await).await;
    let two = kept(store, None, "two").await;
    kept_key(store, SECOND).await;
    let first = store.sealed_by_others(SECOND, None, 2).await.unwrap();
    assert_eq!(first.iter().map(|sealed| sealed.of).collect::<Vec<_>>(), [1, 2].map(|version| SecretRef { id: one.id, version }));
    let rest = store.sealed_by_others(SECOND, Some(first[1].of), 2).await.unwrap();
    assert_eq!(rest.iter().map(|sealed| sealed.of).collect::<Vec<_>>(), [two.newest()]);
    let anew = |sealed: &SealedSecret, byte: u8| (sealed.clone(), SealedValue { key_version: SECOND, bytes: vec![byte; 3] });
    assert_eq!(store.reseal(&[anew(&first[0], 1), anew(&rest[0], 2)]).await.unwrap(), 2);
    assert_eq!(store.reseal(&[anew(&first[0], 3), anew(&first[1], 4)]).await.unwrap(), 1, "the first one is no longer as it was read");
    let bytes = async |of: SecretRef| store.secret_value(of).await.unwrap().value.bytes;
    assert_eq!(bytes(first[0].of).await, [1; 3]);
    assert_eq!(bytes(first[1].of).await, [4; 3]);
    let unknown = SealedValue { key_version: KeyVersion::new(9), bytes: vec![5; 3] };
    let as_it_is = store.secret_value(two.newest()).await.unwrap();
    assert_eq!(store.reseal(&[(as_it_is, unknown)]).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(bytes(two.newest()).await, [2; 3]);
}
