//! `eyrie audit`: who did what, from where, allowed or refused.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use eyrie_core::{
    Timestamp,
    id::{ProjectId, TokenId, UserId},
    model::Verdict,
    store::{AuditFilter, PageRequest},
};
use serde_json::Value;

use super::{CliResult, Place, backend::Backend, progress::printable, say};

#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// List the newest entries.
    List {
        #[command(flatten)]
        of: Of,
        /// How many, at most 200.
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Write all entries as JSON lines, newest first.
    Export {
        #[command(flatten)]
        of: Of,
    },
}

/// Which entries.
#[derive(Debug, Clone, Args)]
pub(super) struct Of {
    /// Of this project.
    #[arg(long)]
    project: Option<ProjectId>,
    /// About this, as the entries name it, for instance "run ID".
    #[arg(long)]
    resource: Option<String>,
    /// What this user did, or had a token or a schedule do.
    #[arg(long)]
    user: Option<UserId>,
    /// What was done with this token.
    #[arg(long)]
    token: Option<TokenId>,
    /// What was asked for, for instance run.start.
    #[arg(long)]
    action: Option<String>,
    /// How it ended: allowed or refused.
    #[arg(long)]
    verdict: Option<Verdict>,
    /// At this time or later, for instance 2027-01-31T12:00:00Z.
    #[arg(long)]
    since: Option<Timestamp>,
    /// Before this time.
    #[arg(long)]
    until: Option<Timestamp>,
}

impl Of {
    fn filter(self) -> AuditFilter {
        let Self { project, resource, user, token, action, verdict, since, until } = self;
        AuditFilter { project, resource, person: user, token, action, verdict, since, until }
    }

    /// As a server is asked.
    fn query(&self) -> Vec<(&'static str, String)> {
        let text = [
            ("project", self.project.map(|id| id.to_string())),
            ("resource", self.resource.clone()),
            ("user", self.user.map(|id| id.to_string())),
            ("token_id", self.token.map(|id| id.to_string())),
            ("action", self.action.clone()),
            ("verdict", self.verdict.map(|verdict| verdict.to_string())),
            ("since", self.since.map(|at| at.to_string())),
            ("until", self.until.map(|at| at.to_string())),
        ];
        text.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }
}

/// `eyrie audit …`.
pub(super) async fn run(place: &Place, command: AuditCommand) -> CliResult {
    let backend = Backend::open(place, false).await?;
    match command {
        AuditCommand::List { of, limit } => list(&backend, of, limit).await?,
        AuditCommand::Export { of } => export(&backend, of).await?,
    }
    backend.close().await;
    Ok(ExitCode::SUCCESS)
}

async fn list(backend: &Backend, of: Of, limit: u32) -> CliResult<()> {
    let page = match backend {
        Backend::Local { me, .. } => serde_json::to_value(me.audit(of.filter(), PageRequest::first(limit)?).await?)?,
        Backend::Remote(remote) => {
            let mut query = of.query();
            query.push(("limit", limit.to_string()));
            remote.ask("audit", &query).await?.json().await?
        }
    };
    for entry in page["items"].as_array().into_iter().flatten() {
        let [at, verdict, action, resource, reason] =
            ["at", "verdict", "action", "resource", "reason"].map(|key| printable(entry[key].as_str().unwrap_or("-")));
        let who = serde_json::from_value(entry["principal"].clone()).map(|who: eyrie_core::model::PrincipalRef| who.to_string());
        let who = printable(&who.unwrap_or_else(|_| "-".to_owned()));
        let count = entry["count"].as_u64().filter(|count| *count > 1).map(|count| format!(" ({count} times)")).unwrap_or_default();
        say(format_args!("{at:<20.20}  {verdict:<7}  {who}: {action} {resource} {reason}{count}"));
    }
    Ok(())
}

async fn export(backend: &Backend, of: Of) -> CliResult<()> {
    match backend {
        Backend::Local { me, .. } => {
            let mut export = me.export_audit(of.filter()).await?;
            while let Some(entries) = export.next().await? {
                for entry in entries {
                    say(serde_json::to_string(&entry)?);
                }
            }
        }
        Backend::Remote(remote) => {
            let mut answer = remote.ask("audit/export", &of.query()).await?;
            let mut rest = Vec::new();
            while let Some(bytes) = answer.chunk().await? {
                rest.extend_from_slice(&bytes);
                while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = rest.drain(..=end).collect();
                    // What is no JSON is not passed on: it is no entry.
                    say(serde_json::from_slice::<Value>(&line)?);
                }
            }
            if !rest.is_empty() {
                return Err("the server's answer breaks off".into());
            }
        }
    }
    Ok(())
}
