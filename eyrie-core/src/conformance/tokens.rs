//! Tokens.

use super::fixtures::{audit, done, kept_user, place, refused, token};
use crate::{
    error::ErrorKind,
    id::TokenId,
    model::{Token, TokenBinding, TokenKind},
    store::{PageRequest, Store},
};

/// A token is read back as it was kept, by id and by the hash of its secret, whatever it is bound to.
pub async fn kept_and_found(store: &dyn Store) {
    let (eva, shop) = (kept_user(store, "eva").await, place(store, "shop").await);
    let tokens = [
        token(TokenKind::Session, TokenBinding::User(eva.id), Some(eva.id)),
        token(TokenKind::Service, TokenBinding::Deployment(shop.id), Some(eva.id)),
        token(TokenKind::Discovery, TokenBinding::Project(shop.project_id), None),
        token(TokenKind::Discovery, TokenBinding::Everything, None),
    ];
    for token in &tokens {
        let entry = audit("token.create");
        done(store, &entry, store.create_token(token, &entry).await).await;
    }
    for token in &tokens {
        assert_eq!(store.token(token.id).await.unwrap(), *token);
        assert_eq!(store.token_by_hash(&token.secret_hash).await.unwrap(), *token);
    }
    assert!(store.token(TokenId::new()).await.unwrap_err().is_not_found());
    assert!(store.token_by_hash(&[0; 32]).await.unwrap_err().is_not_found());

    let page = store.tokens(None, PageRequest::first(2).unwrap()).await.unwrap();
    assert_eq!((page.items, page.next), (tokens[..2].to_vec(), Some(tokens[1].id.uuid())));
    assert_eq!(store.tokens(None, PageRequest::default().after(page.next)).await.unwrap().items, tokens[2..]);
    assert_eq!(store.tokens(Some(eva.id), PageRequest::default()).await.unwrap().items, tokens[..2]);

    let twin = Token { secret_hash: tokens[0].secret_hash, ..token(TokenKind::Session, TokenBinding::User(eva.id), None) };
    let entry = audit("token.create");
    refused(store, ErrorKind::AlreadyExists, &entry, store.create_token(&twin, &entry).await).await;
    assert_eq!(store.token_by_hash(&twin.secret_hash).await.unwrap(), tokens[0]);
}

/// Revoking sets the time once; the token is still found.
pub async fn revoked(store: &dyn Store) {
    let eva = kept_user(store, "eva").await;
    let (one, other) = (
        token(TokenKind::Session, TokenBinding::User(eva.id), Some(eva.id)),
        token(TokenKind::Session, TokenBinding::User(eva.id), Some(eva.id)),
    );
    store.create_token(&one, &audit("token.create")).await.unwrap();
    store.create_token(&other, &audit("token.create")).await.unwrap();
    let entry = audit("token.revoke");
    done(store, &entry, store.revoke_token(one.id, &entry).await).await;
    let stored = store.token_by_hash(&one.secret_hash).await.unwrap();
    assert!(stored.revoked_at.is_some());
    assert_eq!(stored, Token { revoked_at: stored.revoked_at, ..one.clone() });
    store.revoke_token(one.id, &audit("token.revoke")).await.unwrap();
    assert_eq!(store.token(one.id).await.unwrap(), stored);
    assert_eq!(store.token(other.id).await.unwrap(), other);
    let late = audit("token.revoke");
    refused(store, ErrorKind::NotFound, &late, store.revoke_token(TokenId::new(), &late).await).await;
}
