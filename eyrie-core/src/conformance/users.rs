//! Accounts.

use super::fixtures::{audit, done, kept_user, refused, token, user};
use crate::{
    error::ErrorKind,
    id::UserId,
    model::{TokenBinding, TokenKind, User},
    name::UserName,
    store::{NewUserRule, PageRequest, Store},
};

/// A user is read back as it was kept; its name is given once; lists come in the order of making.
pub async fn kept_and_found(store: &dyn Store) {
    let zoe =
        User { password_hash: Some("$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA".to_owned()), operator: true, ..user("zoe@example.org") };
    let entry = audit("user.create");
    done(store, &entry, store.create_user(&zoe, NewUserRule::NameIsFree, &entry).await).await;
    let adam = kept_user(store, "adam").await;
    assert_eq!(store.user(zoe.id).await.unwrap(), zoe);
    assert_eq!(store.user_by_name(&adam.name).await.unwrap(), adam);
    assert!(store.user(UserId::new()).await.unwrap_err().is_not_found());
    assert!(store.user_by_name(&UserName::new("nobody").unwrap()).await.unwrap_err().is_not_found());
    let page = store.users(PageRequest::first(1).unwrap()).await.unwrap();
    assert_eq!((page.items, page.next), (vec![zoe.clone()], Some(zoe.id.uuid())));
    assert_eq!(store.users(PageRequest::default().after(page.next)).await.unwrap().items, [adam]);

    let (twin, entry) = (user("adam"), audit("user.create"));
    refused(store, ErrorKind::AlreadyExists, &entry, store.create_user(&twin, NewUserRule::NameIsFree, &entry).await).await;
    assert!(store.user(twin.id).await.unwrap_err().is_not_found());
}

/// The first operator is made only while there is nobody.
pub async fn the_first_one(store: &dyn Store) {
    let (root, entry) = (user("root"), audit("user.create"));
    done(store, &entry, store.create_user(&root, NewUserRule::NobodyYet, &entry).await).await;
    let late = audit("user.create");
    refused(store, ErrorKind::Conflict, &late, store.create_user(&user("mallory"), NewUserRule::NobodyYet, &late).await).await;
    done(store, &late, store.create_user(&user("second"), NewUserRule::NameIsFree, &late).await).await;
    assert_eq!(store.users(PageRequest::default()).await.unwrap().items.len(), 2);
}

/// Of several first operators that are made at once, one is.
pub async fn the_first_one_in_a_race(store: &dyn Store) {
    let users: Vec<_> = (0..8).map(|n| user(&format!("root{n}"))).collect();
    let made = users.iter().map(async |user| store.create_user(user, NewUserRule::NobodyYet, &audit("user.create")).await);
    let answers = futures_util::future::join_all(made).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert!(answers.iter().flat_map(|answer| answer.as_ref().err()).all(|error| error.kind() == ErrorKind::Conflict));
    assert_eq!(store.users(PageRequest::default()).await.unwrap().items.len(), 1);
}

/// An update needs the stored version and makes it one more.
pub async fn versions_guard_updates(store: &dyn Store) {
    let (eva, adam) = (kept_user(store, "eva").await, kept_user(store, "adam").await);
    let changed = User { disabled: true, password_hash: Some("hash".to_owned()), operator: true, ..eva.clone() };
    let entry = audit("user.update");
    done(store, &entry, store.update_user(&changed, false, &entry).await).await;
    let stored = User { version: 2, ..changed.clone() };
    assert_eq!(store.user(eva.id).await.unwrap(), stored);

    let late = audit("user.update");
    refused(store, ErrorKind::Conflict, &late, store.update_user(&changed, false, &late).await).await;
    let taken = User { name: adam.name.clone(), ..stored.clone() };
    refused(store, ErrorKind::AlreadyExists, &late, store.update_user(&taken, false, &late).await).await;
    refused(store, ErrorKind::NotFound, &late, store.update_user(&user("gone"), false, &late).await).await;
    assert_eq!(store.user(eva.id).await.unwrap(), stored);
}

/// An update that ends the sessions revokes the user's session tokens, no others, and only if it is accepted.
pub async fn sessions_end_with_an_update(store: &dyn Store) {
    let (eva, adam) = (kept_user(store, "eva").await, kept_user(store, "adam").await);
    let own = token(TokenKind::Session, TokenBinding::User(eva.id), Some(eva.id));
    let foreign = token(TokenKind::Session, TokenBinding::User(adam.id), Some(adam.id));
    let service = token(TokenKind::Discovery, TokenBinding::User(eva.id), Some(eva.id));
    for token in [&own, &foreign, &service] {
        store.create_token(token, &audit("token.create")).await.unwrap();
    }
    let outdated = User { version: 9, ..eva.clone() };
    store.update_user(&outdated, true, &audit("user.update")).await.unwrap_err();
    store.update_user(&eva, false, &audit("user.update")).await.unwrap();
    assert_eq!(store.token(own.id).await.unwrap(), own);

    store.update_user(&User { version: 2, ..eva.clone() }, true, &audit("user.update")).await.unwrap();
    let ended = store.token(own.id).await.unwrap().revoked_at;
    assert!(ended.is_some());
    assert_eq!(store.token(foreign.id).await.unwrap(), foreign);
    assert_eq!(store.token(service.id).await.unwrap(), service);
    store.update_user(&User { version: 3, ..eva }, true, &audit("user.update")).await.unwrap();
    assert_eq!(store.token(own.id).await.unwrap().revoked_at, ended, "a revoked token stays revoked as of then");
}
