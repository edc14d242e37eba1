//! `eyrie serve`.

use std::{net::SocketAddr, process::ExitCode, time::Duration};

use axum::serve::ListenerExt;
use eyrie_core::{Eyrie, deployment_type::service::ScriptOptions, engine::WorkerOptions, model::Principal, store::LogBound};
use eyrie_portal::{PortalOptions, SetupToken, router};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use super::{
    CliResult, Place, ServeArguments,
    local::{self, Role},
    say,
};

/// Runs the server until it is told to stop.
pub(super) async fn serve(place: &Place, arguments: ServeArguments) -> CliResult {
    local::check_services(&place.services)?;
    // Before anything is opened: a second server on the same port ends here.
    let listener = listen(arguments.listen).await?;
    let address = listener.local_addr()?;
    let url = arguments.public_url.unwrap_or_else(|| format!("http://{address}"));
    let scripts = ScriptOptions { run_as: arguments.run_as.as_deref().map(local::parse_run_as).transpose()?, ..ScriptOptions::default() };
    let worker = WorkerOptions {
        max_runs: arguments.max_runs,
        max_log: LogBound::new(arguments.max_log.saturating_mul(1024 * 1024))?,
        shutdown_grace: Duration::from_secs(arguments.shutdown_grace),
        ..WorkerOptions::default()
    };
    if local::keyring(place).is_none() {
        tracing::warn!("there is no keyring, and so there are no secrets; name one with --keyring");
    }
    let eyrie = local::open(place, Role::Worker(worker), Some(url.clone()), scripts).await?;
    let report = eyrie.acting_as(Principal::local_operator()).sync_services().await;
    match report {
        Ok(report) => {
            tracing::info!(synced = report.synced.len(), missing = report.missing.len(), "services synced");
            for (folder, why) in &report.refused {
                tracing::error!(service = %folder, "{why}");
            }
        }
        Err(error) => tracing::error!(error = %eyrie_core::error::report(&error), "services could not be synced"),
    }
    let setup = setup_token(&eyrie, &url).await?;
    say(format_args!("listening on {url}"));
    let closing = CancellationToken::new();
    let stop = closing.clone();
    tokio::spawn(async move {
        stop_signal().await;
        tracing::info!("stopping: running scripts have {} s to end", arguments.shutdown_grace);
        stop.cancel();
        stop_signal().await;
        tracing::warn!("stopping at once");
        std::process::exit(130);
    });
    run(listener, eyrie, setup, closing).await?;
    Ok(ExitCode::SUCCESS)
}

/// Serves until `closing` is cancelled, then stops in an orderly way.
pub(super) async fn run(listener: TcpListener, eyrie: Eyrie, setup: Option<SetupToken>, closing: CancellationToken) -> CliResult<()> {
    let options = PortalOptions { setup, closing: closing.clone(), ..PortalOptions::default() };
    let app = router(eyrie.clone(), options).into_make_service_with_connect_info::<SocketAddr>();
    let stopped = CancellationToken::new();
    // Live events are small: without this they would wait for the client's delayed acknowledgements.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
    });
    let serving = axum::serve(listener, app).with_graceful_shutdown(stopped.clone().cancelled_owned()).into_future();
    tokio::pin!(serving);
    // Scripts can report for as long as they have to end.
    let stopping = async {
        closing.cancelled().await;
        eyrie.shutdown().await;
    };
    tokio::select! {
        result = &mut serving => result?,
        () = stopping => {
            stopped.cancel();
            // A connection that does not end by itself does not hold up the end.
            drop(tokio::time::timeout(Duration::from_secs(2), &mut serving).await);
        }
    }
    Ok(())
}

pub(super) async fn listen(address: SocketAddr) -> CliResult<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => format!("{address} is in use: another server listens there; choose another with --listen").into(),
        _ => format!("cannot listen on {address}: {error}").into(),
    })
}

/// While there is no account: a one-time token on this terminal, with which the first one can be made.
async fn setup_token(eyrie: &Eyrie, url: &str) -> CliResult<Option<SetupToken>> {
    if eyrie.has_users().await? {
        return Ok(None);
    }
    let token = SetupToken::generate()?;
    say(format_args!("There is no account yet. Open {url}/setup and enter this one-time token: {}", token.reveal()));
    Ok(Some(token))
}

/// Resolves when the process is told to stop.
pub(super) async fn stop_signal() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
