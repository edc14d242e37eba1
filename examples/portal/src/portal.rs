//! The router and what its handlers share.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicI64, AtomicU64},
    },
    time::Instant,
};

use axum::{Router, extract::DefaultBodyLimit, http::Extensions, middleware, routing::any};
use eyrie_core::{
    Acting, Eyrie,
    model::{Principal, TokenKind},
    name::RequestId,
};
use tokio_util::sync::CancellationToken;

use crate::{api, document, guard, health, page, problem::Problem, setup::SetupToken};

/// The largest body of a request.
const MAX_BODY: usize = 1024 * 1024;

/// How a portal behaves.
#[derive(Debug, Clone)]
pub struct PortalOptions {
    /// Opens `/setup` for the first operator, as long as there is no account. None: there is no such page.
    pub setup: Option<SetupToken>,
    /// When this is cancelled, event streams end, so that the server can stop at once.
    pub closing: CancellationToken,
    /// What the pages call themselves.
    pub title: String,
    /// Marks cookies `Secure` also when no proxy says that the request came by https.
    pub secure_cookies: bool,
    /// Whether there are pages. Without them there is the REST interface with its document and the routes for whoever watches the
    /// server, every other address is left to the program, and nobody can sign in with a browser.
    pub pages: bool,
}

impl Default for PortalOptions {
    fn default() -> Self {
        Self { setup: None, closing: CancellationToken::new(), title: "Eyrie".to_owned(), secure_cookies: false, pages: true }
    }
}

/// What handlers share.
#[derive(Debug, Clone)]
pub(crate) struct Portal(Arc<Shared>);

/// What is behind a [`Portal`].
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) eyrie: Eyrie,
    pub(crate) options: PortalOptions,
    pub(crate) started: Instant,
    /// Answers by the hundreds of their status.
    pub(crate) answers: [AtomicU64; 6],
    pub(crate) failed_sign_ins: AtomicU64,
    pub(crate) open_streams: Arc<AtomicI64>,
    pub(crate) document: OnceLock<serde_json::Value>,
}

impl std::ops::Deref for Portal {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Portal {
    /// The use cases on behalf of whoever a token's secret stands for. A discovery token stands for nobody here.
    pub(crate) async fn acting(&self, secret: &str, request: &Extensions) -> Result<Acting, Problem> {
        let acting = self.discovering(secret, request).await?;
        match acting.principal() {
            Principal::Token { kind: TokenKind::Discovery, .. } => Err(Problem::unauthenticated("the token is for discovery only")),
            _ => Ok(acting),
        }
    }

    /// The same, also for discovery tokens.
    pub(crate) async fn discovering(&self, secret: &str, request: &Extensions) -> Result<Acting, Problem> {
        let acting = self.eyrie.acting_as(self.eyrie.authenticate(secret).await?);
        Ok(match request.get::<RequestId>() {
            Some(id) => acting.in_request(id.clone()),
            None => acting,
        })
    }
}

/// A router over `eyrie`: `/api/v1`, the pages, `/docs`, `/healthz`, `/readyz` and `/metrics`. Without
/// [`pages`](PortalOptions::pages) it can be merged into a router with pages and a fallback of its own.
pub fn router(eyrie: Eyrie, options: PortalOptions) -> Router {
    let portal = Portal(Arc::new(Shared {
        eyrie,
        options,
        started: Instant::now(),
        answers: Default::default(),
        failed_sign_ins: AtomicU64::new(0),
        open_streams: Arc::default(),
        document: OnceLock::new(),
    }));
    let (api, described) = document::begin().merge(api::routes()).merge(health::routes()).split_for_parts();
    drop(portal.document.set(document::finish(&described)));
    let routes = if portal.options.pages {
        api.merge(page::routes()).fallback(page::missing)
    } else {
        api.route("/api/{*rest}", any(page::missing))
    };
    routes
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn_with_state(portal.clone(), guard::watch))
        .with_state(portal)
}
