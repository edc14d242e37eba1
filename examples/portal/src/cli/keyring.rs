//! `eyrie keyring`: the keys that secrets are sealed by.

use std::process::ExitCode;

use clap::Subcommand;
use eyrie_core::{deployment_type::service::ScriptOptions, model::Principal, secret::KeyVersion};

use super::{
    CliResult, Place,
    local::{self, Role},
    say,
};

#[derive(Debug, Subcommand)]
pub(super) enum KeyringCommand {
    /// List the keys, and how many values are sealed by each.
    Status,
    /// Add a key, and seal everything by it.
    Rotate,
    /// Give up a key that no value is sealed by any more.
    Retire {
        /// The key's version.
        version: u32,
    },
}

/// Carries it out, on the machine that the keyring is on.
pub(super) async fn keyring(place: &Place, command: KeyringCommand) -> CliResult {
    if place.server.is_some() {
        return Err("the keyring is changed on the machine that it is on: leave --server out".into());
    }
    let eyrie = local::open(place, Role::KeyKeeper, None, ScriptOptions::default()).await?;
    let acting = eyrie.acting_as(Principal::local_operator());
    match command {
        KeyringCommand::Status => {
            for key in acting.keyring_status().await? {
                let newest = if key.newest { ", newest" } else { "" };
                say(format_args!("key version {}: {} values, made {}{newest}", key.version, key.values, key.created_at));
            }
        }
        KeyringCommand::Rotate => {
            let version = acting.rotate_keyring().await?;
            let values = acting.reseal_secrets().await?;
            say(format_args!("key version {version} added; {values} values sealed by it"));
        }
        KeyringCommand::Retire { version } => {
            acting.retire_key(KeyVersion::new(version)).await?;
            say(format_args!("key version {version} retired"));
        }
    }
    eyrie.shutdown().await;
    Ok(ExitCode::SUCCESS)
}
