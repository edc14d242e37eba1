//! Opening the store itself: whoever can, is the local operator.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use eyrie_core::{
    Eyrie,
    deployment_type::service::{ScriptOptions, ServicesRoot},
    engine::WorkerOptions,
};
use eyrie_store_sea::SeaStore;

use super::{CliResult, Place};

/// What this process does beside looking.
#[derive(Debug)]
pub(super) enum Role {
    /// Queues and looks only, for which it needs no key.
    Looker,
    /// Looks after the keyring.
    KeyKeeper,
    /// Executes runs as well.
    Worker(WorkerOptions),
}

/// A platform over the store of `place`.
pub(super) async fn open(place: &Place, role: Role, public_url: Option<String>, scripts: ScriptOptions) -> CliResult<Eyrie> {
    let store = SeaStore::open(&place.store).await?;
    let mut builder = Eyrie::builder(Arc::new(store));
    builder = match keyring(place).filter(|_| !matches!(role, Role::Looker)) {
        Some(path) => builder.key_file(path),
        None => builder,
    };
    if place.services.exists() {
        builder = builder.services(ServicesRoot::open(&place.services)?, scripts);
    }
    if let Some(url) = public_url {
        builder = builder.public_url(url);
    }
    builder = match role {
        Role::Looker | Role::KeyKeeper => builder.without_worker(),
        Role::Worker(options) => builder.worker(options),
    };
    Ok(builder.start().await?)
}

/// Where the keyring is: where it was said to be, else beside the store's file. A store on a server has none unless it was said.
pub(super) fn keyring(place: &Place) -> Option<PathBuf> {
    let beside = || {
        let path = place.store.strip_prefix("sqlite:")?;
        Some(PathBuf::from(format!("{}.keyring", path.strip_prefix("//").unwrap_or(path))))
    };
    place.keyring.clone().or_else(beside)
}

/// The user and group of `UID:GID`.
pub(super) fn parse_run_as(text: &str) -> CliResult<eyrie_core::process::RunAs> {
    let parsed = text.split_once(':').and_then(|(uid, gid)| Some((uid.parse().ok()?, gid.parse().ok()?)));
    let (uid, gid) = parsed.ok_or("--run-as must be UID:GID, both numbers")?;
    Ok(eyrie_core::process::RunAs { uid, gid })
}

/// Refuses a services directory that was named but is not there.
pub(super) fn check_services(path: &Path) -> CliResult<()> {
    if path.is_dir() { Ok(()) } else { Err(format!("services directory {} is not there; name one with --services", path.display()).into()) }
}
