//! The schema's history. A name that is applied is never changed or taken away again.

mod m0001_base;

use sea_orm_migration::{MigrationTrait, MigratorTrait};

/// Every table that is there once all migrations are applied.
pub(crate) const TABLES: &[&str] = &[
    "audit_entries",
    "cluster_grants",
    "cluster_links",
    "clusters",
    "datasources",
    "branches",
    "deployed_services",
    "deployment_groups",
    "deployment_overrides",
    "deployments",
    "feed_floor",
    "failed_sign_ins",
    "forgotten_monitors",
    "forgotten_runs",
    "group_overrides",
    "images",
    "log_chunks",
    "memberships",
    "monitor_logs",
    "monitors",
    "namespaces",
    "plan_secrets",
    "plans",
    "projects",
    "queue_rules",
    "releases",
    "repositories",
    "request_keys",
    "run_events",
    "run_logs",
    "run_steps",
    "runs",
    "schedules",
    "scopes",
    "sealing_keys",
    "seaql_migrations",
    "secret_uses",
    "secret_values",
    "secrets",
    "services",
    "tokens",
    "users",
    "workers",
];

/// Every migration, in order.
#[derive(Debug)]
pub(crate) struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m0001_base::Base)]
    }
}

impl Migrator {
    /// The names of every migration, in order.
    pub(crate) fn names() -> Vec<String> {
        Self::migrations().iter().map(|migration| migration.name().to_owned()).collect()
    }
}
