//! A portal on Eyrie: a REST interface with a description of itself, live events, and pages for people.
//!
//! [`router`] gives an `axum` router that a program serves as it is or merges into its own. It should be served with
//! `into_make_service_with_connect_info::<SocketAddr>()`: the limit on failed sign-ins and the open `/metrics` for the machine
//! itself need the peer's address.
//!
//! ```no_run
//! # async fn example(eyrie: eyrie_core::Eyrie) -> std::io::Result<()> {
//! use std::net::SocketAddr;
//!
//! use axum::serve::ListenerExt;
//!
//! let portal = eyrie_portal::router(eyrie, eyrie_portal::PortalOptions::default());
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//! // Live events are small: without this they would wait for the client's delayed acknowledgements.
//! let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
//! axum::serve(listener, portal.into_make_service_with_connect_info::<SocketAddr>()).await
//! # }
//! ```

mod api;
mod authentication;
mod decision;
mod document;
mod doubled;
mod guard;
mod health;
mod page;
mod portal;
mod problem;
mod request;
mod schema;
mod setup;
mod visible;

pub use decision::{Decision, StepDecision};
pub use portal::{PortalOptions, router};
pub use setup::SetupToken;
