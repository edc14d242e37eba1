//! Serves a folder of static files, for the demo.

use std::path::PathBuf;

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::services::ServeDir;

use super::CliResult;

/// Serves `folder` on a free loopback port until the token is cancelled; answers with the URL.
pub(super) async fn serve(folder: PathBuf, closing: CancellationToken) -> CliResult<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let router = Router::new().fallback_service(ServeDir::new(folder));
    tokio::spawn(async move {
        let serving = axum::serve(listener, router).with_graceful_shutdown(closing.cancelled_owned());
        if let Err(error) = serving.await {
            tracing::error!(%error, "the site's server ended");
        }
    });
    Ok(url)
}
