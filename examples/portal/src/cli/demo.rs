//! `eyrie demo`: everything at once, on loopback, in a folder of its own.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use eyrie_core::{deployment_type::service::ScriptOptions, engine::WorkerOptions, model::Principal, name::UserName, platform::NewUser};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{
    CliResult, DemoArguments, Place,
    backend::{Backend, Deploy},
    deploy::show,
    local::{self, Role},
    manage::say_sync,
    say, serve, site,
};

/// Creates a store, syncs the example services, deploys the static site, serves it and the portal.
pub(super) async fn demo(arguments: DemoArguments) -> CliResult {
    let temporary = if arguments.folder.is_none() { Some(tempfile::Builder::new().prefix("eyrie-demo-").tempdir()?) } else { None };
    let folder = match (&arguments.folder, &temporary) {
        (Some(folder), _) => {
            std::fs::create_dir_all(folder)?;
            folder.canonicalize()?
        }
        (None, Some(temporary)) => temporary.path().to_path_buf(),
        (None, None) => return Err("there is no folder to work in".into()),
    };
    let place = Place {
        store: format!("sqlite:{}", folder.join("eyrie.db").display()),
        services: example_services()?,
        keyring: None,
        server: None,
    };
    let listener = serve::listen(([127, 0, 0, 1], 0).into()).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let worker = WorkerOptions { shutdown_grace: Duration::from_secs(5), ..WorkerOptions::default() };
    let eyrie = local::open(&place, Role::Worker(worker), Some(url.clone()), ScriptOptions::default()).await?;
    let me = eyrie.acting_as(Principal::local_operator());
    say(format_args!("store      {}", place.store));

    let report = me.sync_services().await?;
    say_sync(&serde_json::to_value(&report)?);
    let name = UserName::new("demo")?;
    let user = match me.user_by_name(&name).await {
        Ok(user) => user,
        Err(error) if error.is_not_found() => me.create_user(NewUser { name, password: None, operator: true }).await?,
        Err(error) => return Err(error.into()),
    };
    let (secret, _) = me.open_session(user.id, Duration::from_secs(3600)).await?;

    let closing = CancellationToken::new();
    let site_root = folder.join("site");
    let site_url = site::serve(site_root.join("current"), closing.clone()).await?;
    let backend = Backend::Local { eyrie: eyrie.clone(), me };
    let context = json!({ "SITE_ROOT": site_root, "SITE_URL": site_url });
    let run = backend.deploy("static-site", Deploy { env: context, ..Deploy::default() }).await?;
    say(format_args!("\ndeploying static-site, run {run}"));
    let portal = tokio::spawn(serve::run(listener, eyrie.clone(), None, closing.clone()));
    let succeeded = show(&backend, run, 0).await? == "succeeded";

    say(format_args!("\nsite       {site_url}"));
    say(format_args!("portal     {url}/login   (sign in with the session token below)"));
    say(format_args!("token      {}   (valid for one hour)", secret.reveal()));
    say(format_args!("events     curl -N -H 'Authorization: Bearer {}' {url}/api/v1/runs/{run}/events", secret.reveal()));
    say(format_args!(
        "deploy     EYRIE_TOKEN={} cargo run -p eyrie-portal -- --server {url} deploy housekeeping --follow",
        secret.reveal()
    ));
    if !arguments.once {
        say("\nserving until Ctrl-C");
        serve::stop_signal().await;
    }
    closing.cancel();
    portal.await??;
    Ok(if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The services of this repository: from the working directory, else from where the program was built.
fn example_services() -> CliResult<PathBuf> {
    let candidates = [PathBuf::from("examples/services"), Path::new(env!("CARGO_MANIFEST_DIR")).join("../services")];
    let found = candidates.iter().find(|path| path.join("static-site/config.json").exists());
    Ok(found.ok_or("examples/services is not here; run the demo in a checkout of the repository")?.canonicalize()?)
}
