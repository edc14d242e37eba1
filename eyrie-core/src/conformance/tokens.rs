//! Tokens.

use std::time::Duration;

use super::fixtures::{audit, done, kept_user, place, refused, token};
use crate::{
    clock::{earlier, from_micros, later},
    error::ErrorKind,
    id::{ProjectId, ServiceId, TokenId},
    model::{Token, TokenBinding, TokenCapabilities, TokenCapability, TokenKind, User},
    store::{PageRequest, Pruning, Store, TokenFilter},
};

/// A token is read back as it was kept, by id and by the hash of its secret, whatever it is bound to.
pub async fn kept_and_found(store: &dyn Store) {
    let (eva, shop) = (kept_user(store, "eva").await, place(store, "shop").await);
    let tokens = [
        token(TokenKind::Session, TokenBinding::User(eva.id), Some(eva.id)),
        token(TokenKind::Service, TokenBinding::Deployment(shop.id), Some(eva.id)),
        token(TokenKind::Discovery, TokenBinding::Project(shop.project_id), None),
        token(TokenKind::Discovery, TokenBinding::Everything, None),
        token(TokenKind::Service, TokenBinding::Group(shop.group_id), Some(eva.id)),
        Token {
            project_id: Some(shop.project_id),
            capabilities: TokenCapabilities::from_iter([TokenCapability::Approve, TokenCapability::Read]),
            last_used_at: Some(from_micros(1_800_000_000_000_000)),
            ..token(TokenKind::Service, TokenBinding::Service(ServiceId::new()), Some(eva.id))
        },
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

    let all = TokenFilter::default();
    let page = store.tokens(all, PageRequest::first(2).unwrap()).await.unwrap();
    assert_eq!((page.items, page.next), (tokens[..2].to_vec(), Some(tokens[1].id.uuid())));
    assert_eq!(store.tokens(all, PageRequest::default().after(page.next)).await.unwrap().items, tokens[2..]);

    let twin = Token { secret_hash: tokens[0].secret_hash, ..token(TokenKind::Session, TokenBinding::User(eva.id), None) };
    let entry = audit("token.create");
    refused(store, ErrorKind::AlreadyExists, &entry, store.create_token(&twin, &entry).await).await;
    assert_eq!(store.token_by_hash(&twin.secret_hash).await.unwrap(), tokens[0]);
}

/// They are listed by who made them, by the project that they stand in, and by their kind.
pub async fn listed(store: &dyn Store) {
    let (eva, bob) = (kept_user(store, "eva").await, kept_user(store, "bob").await);
    let (shop, other) = (place(store, "shop").await, ProjectId::new());
    let of = |kind, creator: &User, project| Token { project_id: project, ..token(kind, TokenBinding::Everything, Some(creator.id)) };
    let tokens = [
        of(TokenKind::Service, &eva, Some(shop.project_id)),
        of(TokenKind::Discovery, &eva, Some(shop.project_id)),
        of(TokenKind::Service, &bob, Some(shop.project_id)),
        of(TokenKind::Service, &eva, Some(other)),
        of(TokenKind::Session, &eva, None),
    ];
    for token in &tokens {
        store.create_token(token, &audit("token.create")).await.unwrap();
    }
    let (creator, project, kind) = (Some(eva.id), Some(shop.project_id), Some(TokenKind::Service));
    let all = TokenFilter::default();
    for (filter, expected) in [
        (all, vec![0, 1, 2, 3, 4]),
        (TokenFilter { creator, ..all }, vec![0, 1, 3, 4]),
        (TokenFilter { project, ..all }, vec![0, 1, 2]),
        (TokenFilter { kind, ..all }, vec![0, 2, 3]),
        (TokenFilter { creator, project, ..all }, vec![0, 1]),
        (TokenFilter { creator, project, kind }, vec![0]),
    ] {
        let expected: Vec<_> = expected.into_iter().map(|place: usize| tokens[place].clone()).collect();
        assert_eq!(store.tokens(filter, PageRequest::default()).await.unwrap().items, expected, "{filter:?}");
    }
}

/// A token takes the place of another one, which ends at a time that is not later than its own end; of one that has ended none does.
pub async fn replaced(store: &dyn Store) {
    let eva = kept_user(store, "eva").await;
    let new = || token(TokenKind::Service, TokenBinding::Everything, Some(eva.id));
    let old = new();
    store.create_token(&old, &audit("token.create")).await.unwrap();
    let soon = later(old.created_at, Duration::from_secs(60));
    let next = Token { replaces: Some(old.id), ..new() };
    let entry = audit("token.revoke");
    done(store, &entry, store.replace_token(&next, soon, &entry).await).await;
    let ending = Token { expires_at: soon, ..old.clone() };
    assert_eq!(store.token(old.id).await.unwrap(), ending);
    assert_eq!(store.token_by_hash(&next.secret_hash).await.unwrap(), next);

    // It does not become valid for longer.
    let third = Token { replaces: Some(old.id), ..new() };
    store.replace_token(&third, later(soon, Duration::from_secs(60)), &audit("token.revoke")).await.unwrap();
    assert_eq!(store.token(old.id).await.unwrap(), ending);

    let late = Token { created_at: soon, replaces: Some(old.id), ..new() };
    let entry = audit("token.revoke");
    refused(store, ErrorKind::Conflict, &entry, store.replace_token(&late, soon, &entry).await).await;
    store.revoke_token(next.id, &audit("token.revoke")).await.unwrap();
    let of_revoked = Token { replaces: Some(next.id), ..new() };
    refused(store, ErrorKind::Conflict, &entry, store.replace_token(&of_revoked, soon, &entry).await).await;
    let of_nothing = Token { replaces: Some(TokenId::new()), ..new() };
    refused(store, ErrorKind::NotFound, &entry, store.replace_token(&of_nothing, soon, &entry).await).await;
    let twin = Token { secret_hash: third.secret_hash, replaces: Some(third.id), ..new() };
    refused(store, ErrorKind::AlreadyExists, &entry, store.replace_token(&twin, soon, &entry).await).await;
    for refused in [late, of_revoked, of_nothing, twin] {
        assert!(store.token(refused.id).await.unwrap_err().is_not_found());
    }
    assert_eq!(store.token(third.id).await.unwrap(), third, "a refused one ended what it was to replace");
}

/// When a token was last used never goes back, and nothing else changes.
pub async fn used(store: &dyn Store) {
    let one = token(TokenKind::Service, TokenBinding::Everything, None);
    store.create_token(&one, &audit("token.create")).await.unwrap();
    let (first, second) = (from_micros(1_800_000_000_000_000), from_micros(1_800_000_060_000_000));
    for (at, expected) in [(first, first), (second, second), (first, second)] {
        store.note_token_use(one.id, at).await.unwrap();
        assert_eq!(store.token(one.id).await.unwrap(), Token { last_used_at: Some(expected), ..one.clone() });
    }
    store.note_token_use(TokenId::new(), first).await.unwrap();
}

/// Tokens that ended long enough ago go in pieces; others stay.
pub async fn pruned(store: &dyn Store) {
    let hour = Duration::from_secs(3600);
    let now = token(TokenKind::Session, TokenBinding::Everything, None).created_at;
    let expired = |ago| Token { expires_at: earlier(now, ago), ..token(TokenKind::Session, TokenBinding::Everything, None) };
    let valid = token(TokenKind::Session, TokenBinding::Everything, None);
    let recent = expired(hour / 2);
    let revoked = token(TokenKind::Session, TokenBinding::Everything, None);
    let old = [expired(2 * hour), expired(3 * hour), expired(4 * hour)];
    for token in old.iter().chain([&valid, &recent, &revoked]) {
        store.create_token(token, &audit("token.create")).await.unwrap();
    }
    store.revoke_token(revoked.id, &audit("token.revoke")).await.unwrap();
    let first = store.prune_tokens(hour, 2).await.unwrap();
    assert_eq!((first.tokens, first.more), (2, true));
    let mut rest = store.prune_tokens(hour, 2).await.unwrap();
    assert_eq!(rest.tokens, 1);
    rest = store.prune_tokens(hour, 2).await.unwrap();
    assert_eq!(rest, Pruning::default());
    let kept = store.tokens(TokenFilter::default(), PageRequest::default()).await.unwrap().items;
    assert_eq!(kept.iter().map(|token| token.id).collect::<Vec<_>>(), [valid.id, recent.id, revoked.id]);
    let all = store.prune_tokens(Duration::ZERO, 10).await.unwrap();
    assert_eq!(all.tokens, 2, "what was revoked has ended");
    assert_eq!(store.tokens(TokenFilter::default(), PageRequest::default()).await.unwrap().items, [valid]);
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
