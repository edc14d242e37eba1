//! The tables and indexes of the first version.
//!
//! Ids are UUIDs, times microseconds since 1970, states their words, structured values JSON as text. Steps, events and log
//! chunks hold no foreign keys: they are written only together with their run, by the million.

use sea_orm_migration::{
    prelude::{async_trait::async_trait, *},
    schema::{big_integer, big_integer_null, big_pk_auto, binary, boolean, double_null, integer, text, text_null, uuid, uuid_null},
    sea_orm::DbBackend,
};

#[derive(Debug)]
pub(super) struct Base;

impl MigrationName for Base {
    fn name(&self) -> &str {
        "m0001_base"
    }
}

#[async_trait]
impl MigrationTrait for Base {
    #[allow(elided_lifetimes_in_paths, reason = "the trait is declared that way, and the lifetimes must match")]
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let backend = manager.get_database_backend();
        let what_people_make = people().into_iter().chain(projects()).chain(secrets()).chain(outside()).chain(resources());
        let what_comes_of_it = runs(position(backend), clustered(backend)).into_iter().chain(results()).chain(links());
        for table in what_people_make.chain(what_comes_of_it) {
            manager.create_table(table).await?;
        }
        let own: &[_] = if backend == DbBackend::Postgres { POSTGRES_ONLY } else { SQLITE_ONLY };
        for statement in INDEXES.iter().chain(own) {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}

/// Indexes, in words that SQLite and PostgreSQL share.
const INDEXES: &[&str] = &[
    "CREATE UNIQUE INDEX projects_slug ON projects (slug)",
    "CREATE UNIQUE INDEX projects_namespace ON projects (namespace_uid)",
    "CREATE INDEX projects_owner ON projects (owner_id)",
    "CREATE INDEX memberships_user ON memberships (user_id)",
    "CREATE UNIQUE INDEX users_name ON users (name)",
    "CREATE UNIQUE INDEX tokens_secret ON tokens (secret_hash)",
    "CREATE INDEX tokens_creator ON tokens (created_by, id)",
    "CREATE INDEX tokens_binding ON tokens (binding)",
    "CREATE UNIQUE INDEX deployment_groups_slug ON deployment_groups (project_id, slug)",
    "CREATE UNIQUE INDEX scopes_slug ON scopes (group_id, slug)",
    "CREATE UNIQUE INDEX services_name ON services (project_id, name)",
    "CREATE UNIQUE INDEX deployments_slug ON deployments (group_id, slug)",
    "CREATE INDEX deployments_project ON deployments (project_id)",
    "CREATE INDEX deployments_scope ON deployments (scope_id)",
    "CREATE INDEX deployments_service ON deployments (service_id)",
    "CREATE INDEX deployments_branch ON deployments (branch_id, id)",
    "CREATE INDEX deployments_image ON deployments (image_id, id)",
    "CREATE UNIQUE INDEX schedules_slug ON schedules (deployment_id, slug)",
    "CREATE INDEX schedules_of_project ON schedules (project_id, id)",
    // Schedules by when they fire next.
    "CREATE INDEX schedules_due ON schedules (next_fire_at, id) WHERE next_fire_at IS NOT NULL",
    "CREATE INDEX runs_of_deployment ON runs (deployment_id, id)",
    "CREATE INDEX runs_of_project ON runs (project_id, id)",
    // The queue of a deployment, and its one run that is not merely waiting in it.
    "CREATE INDEX runs_queue ON runs (deployment_id, queued_at, id) WHERE finished_at IS NULL",
    "CREATE UNIQUE INDEX runs_current ON runs (deployment_id) WHERE finished_at IS NULL AND (state <> 'queued' OR ready)",
    // The same of a whole project, and with it everything that has not ended there.
    "CREATE INDEX runs_open ON runs (project_id, queued_at, id) WHERE finished_at IS NULL",
    // What a claim looks for: runs whose turn it is, apart for each lane, and runs that somebody holds.
    "CREATE INDEX runs_ready ON runs (project_id, group_id, cluster_id, queued_at, id) WHERE ready",
    "CREATE INDEX runs_held ON runs (project_id, group_id, cluster_id, worker_id, state) \
        WHERE state IN ('running', 'cancelling', 'undoing')",
    // Runs whose time has not come, by that time.
    "CREATE INDEX runs_deferred ON runs (queued_at, id) WHERE deferred",
    // What pruning looks for: runs that have ended and were not trimmed since, those that were, and who else needs a plan.
    "CREATE INDEX runs_untrimmed ON runs (deployment_id, finished_at) WHERE trimmed_end < finished_at",
    "CREATE INDEX runs_trimmed ON runs (deployment_id, finished_at) WHERE trimmed_end >= finished_at",
    "CREATE INDEX runs_of_plan ON runs (plan_hash)",
    "CREATE INDEX releases_of_plan ON releases (plan_hash)",
    "CREATE INDEX request_keys_of_run ON request_keys (run_id)",
    "CREATE INDEX queue_rules_limits ON queue_rules (id) WHERE max_running IS NOT NULL",
    "CREATE UNIQUE INDEX run_events_seq ON run_events (run_id, seq)",
    "CREATE UNIQUE INDEX run_events_report ON run_events (run_id, report_id) WHERE report_id IS NOT NULL",
    "CREATE INDEX releases_of_deployment ON releases (deployment_id, id)",
    "CREATE UNIQUE INDEX deployed_services_place ON deployed_services (deployment_id, cluster_id) WHERE cluster_id IS NOT NULL",
    "CREATE UNIQUE INDEX deployed_services_here ON deployed_services (deployment_id) WHERE cluster_id IS NULL",
    "CREATE INDEX deployed_services_of_deployment ON deployed_services (deployment_id)",
    "CREATE INDEX deployed_services_project ON deployed_services (project_id, id)",
    "CREATE INDEX audit_entries_project ON audit_entries (project_id, id)",
    "CREATE INDEX audit_entries_resource ON audit_entries (resource, id)",
    "CREATE INDEX group_overrides_group ON group_overrides (group_id)",
    "CREATE INDEX group_overrides_member ON group_overrides (project_id, user_id)",
    "CREATE INDEX deployment_overrides_deployment ON deployment_overrides (deployment_id)",
    "CREATE INDEX deployment_overrides_member ON deployment_overrides (project_id, user_id)",
    "CREATE UNIQUE INDEX secrets_name ON secrets (project_id, name) WHERE project_id IS NOT NULL",
    "CREATE UNIQUE INDEX secrets_operators_name ON secrets (name) WHERE project_id IS NULL",
    "CREATE INDEX secrets_of_project ON secrets (project_id, id)",
    "CREATE INDEX secret_values_of_key ON secret_values (key_version)",
    "CREATE INDEX secret_uses_of_secret ON secret_uses (secret_id)",
    "CREATE INDEX plan_secrets_of_value ON plan_secrets (secret_id, version)",
    // One that is gone keeps its uid, and leaves its slug to others.
    "CREATE UNIQUE INDEX clusters_uid ON clusters (uid)",
    "CREATE UNIQUE INDEX clusters_slug ON clusters (slug) WHERE state <> 'delete'",
    "CREATE INDEX clusters_there ON clusters (id) WHERE state <> 'delete'",
    "CREATE INDEX repositories_credentials ON repositories (credentials_secret_id) WHERE credentials_secret_id IS NOT NULL",
    "CREATE INDEX clusters_credentials ON clusters (credentials_secret_id) WHERE credentials_secret_id IS NOT NULL",
    "CREATE INDEX cluster_grants_of_project ON cluster_grants (project_id, cluster_id)",
    "CREATE INDEX cluster_links_of_grant ON cluster_links (cluster_id, project_id)",
    "CREATE INDEX cluster_links_of_deployment ON cluster_links (deployment_id) WHERE deployment_id IS NOT NULL",
    "CREATE INDEX cluster_links_of_scope ON cluster_links (scope_id) WHERE scope_id IS NOT NULL",
    "CREATE INDEX cluster_links_of_group ON cluster_links (group_id) WHERE group_id IS NOT NULL",
    "CREATE UNIQUE INDEX datasources_slug ON datasources (project_id, slug) WHERE project_id IS NOT NULL",
    "CREATE UNIQUE INDEX datasources_operators_slug ON datasources (slug) WHERE project_id IS NULL",
    "CREATE INDEX datasources_of_project ON datasources (project_id, id)",
    "CREATE INDEX datasources_credentials ON datasources (credentials_secret_id) WHERE credentials_secret_id IS NOT NULL",
    "CREATE INDEX scopes_backup ON scopes (backup_dest_datasource_id) WHERE backup_dest_datasource_id IS NOT NULL",
    "CREATE UNIQUE INDEX audit_entries_refusal ON audit_entries (refusal_key) WHERE refusal_key IS NOT NULL",
    "CREATE INDEX audit_entries_refused ON audit_entries (id) WHERE refusal_key IS NOT NULL",
    "CREATE UNIQUE INDEX repositories_slug ON repositories (project_id, slug)",
    "CREATE UNIQUE INDEX repositories_shared ON repositories (slug) WHERE project_id IS NULL",
    "CREATE INDEX repositories_of_owner ON repositories (project_id, id)",
    "CREATE INDEX repositories_of_type ON repositories (project_id, group_type, id)",
    "CREATE UNIQUE INDEX branches_name ON branches (repository_id, name)",
    "CREATE INDEX branches_of_repository ON branches (repository_id, id)",
    "CREATE UNIQUE INDEX images_reference ON images (project_id, reference)",
    "CREATE UNIQUE INDEX images_shared ON images (reference) WHERE project_id IS NULL",
    "CREATE INDEX images_of_owner ON images (project_id, id)",
    "CREATE INDEX images_of_repository ON images (repository_id, id)",
    "CREATE UNIQUE INDEX monitors_slug ON monitors (deployment_id, slug)",
    "CREATE INDEX monitors_of_deployment ON monitors (deployment_id, id)",
    "CREATE INDEX monitors_of_project ON monitors (project_id, id)",
    // A monitor's log as people read it, and what pruning looks for.
    "CREATE INDEX monitor_logs_of_monitor ON monitor_logs (monitor_id, id)",
    "CREATE INDEX monitor_logs_by_time ON monitor_logs (monitor_id, at)",
];

/// Where several transactions write at the same time, positions do not become visible in their order. There the feed goes by the
/// id of the transaction first, and stops before the oldest one that is still under way.
const POSTGRES_ONLY: &[&str] = &[
    "ALTER TABLE run_events ADD COLUMN xact xid8 NOT NULL DEFAULT pg_current_xact_id()",
    "CREATE INDEX run_events_feed ON run_events (xact, position)",
    // A row that changes no column of an index stays in its page, if there is room, and no index is touched. States of steps change
    // all the time, so they stand in none.
    "CREATE INDEX run_steps_reports ON run_steps (run_id, name) WHERE parent IS NOT NULL",
    "ALTER TABLE runs SET (fillfactor = 60)",
    "ALTER TABLE run_steps SET (fillfactor = 60)",
    HAND_ON,
    STANDING,
];

const SQLITE_ONLY: &[&str] =
    &["CREATE INDEX run_steps_open_reports ON run_steps (run_id, name) WHERE parent IS NOT NULL AND state IN ('pending', 'running')"];

/// The first in the queue of each deployment becomes ready, unless another of its runs has the turn. A statement sees what there was
/// when it began; those within a function begin one behind the other, and so see what others committed before the lock was had.
const HAND_ON: &str = "CREATE FUNCTION eyrie_hand_on(whose uuid[]) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    handed bigint;
BEGIN
    PERFORM d.id FROM deployments d WHERE d.id = ANY (whose) ORDER BY d.id FOR NO KEY UPDATE;
    UPDATE runs SET ready = TRUE FROM unnest(whose) AS v(id) CROSS JOIN LATERAL (
        SELECT q.id FROM runs q WHERE q.deployment_id = v.id AND q.finished_at IS NULL AND q.state = 'queued' AND NOT q.deferred
        ORDER BY q.queued_at, q.id LIMIT 1) AS n
    WHERE runs.id = n.id AND NOT EXISTS (
        SELECT 1 FROM runs c WHERE c.deployment_id = v.id AND c.finished_at IS NULL AND (c.state <> 'queued' OR c.ready));
    GET DIAGNOSTICS handed = ROW_COUNT;
    RETURN handed;
END $$";

/// Locks the deployments, and finds those of which some run has the turn, or none has, as it was seen before.
const STANDING: &str = "CREATE FUNCTION eyrie_standing(whose uuid[], seen boolean[]) RETURNS SETOF uuid LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM d.id FROM deployments d WHERE d.id = ANY (whose) ORDER BY d.id FOR NO KEY UPDATE;
    RETURN QUERY SELECT v.id FROM unnest(whose, seen) AS v(id, seen) WHERE v.seen = EXISTS (
        SELECT 1 FROM runs c WHERE c.deployment_id = v.id AND c.finished_at IS NULL AND (c.state <> 'queued' OR c.ready));
END $$";

fn table(name: &'static str, columns: impl IntoIterator<Item = ColumnDef>) -> TableCreateStatement {
    let mut table = Table::create();
    table.table(name);
    for column in columns {
        table.col(column);
    }
    table
}

fn id(column: &'static str) -> ColumnDef {
    uuid(column).primary_key().take()
}

/// A reference that keeps its target from being deleted, or goes with it.
fn reference(column: &'static str, target: &'static str, on_delete: ForeignKeyAction) -> ForeignKeyCreateStatement {
    ForeignKey::create().from_col(column).to_tbl(target).to_col("id").on_delete(on_delete).take()
}

fn keyed(mut table: TableCreateStatement, columns: [&'static str; 2]) -> TableCreateStatement {
    let [first, second] = columns;
    table.primary_key(Index::create().col(first).col(second)).take()
}

fn people() -> Vec<TableCreateStatement> {
    vec![
        table(
            "users",
            [
                id("id"),
                text("name"),
                text_null("password_hash"),
                boolean("operator"),
                boolean("disabled"),
                big_integer("created_at"),
                big_integer("version"),
            ],
        ),
        table(
            "tokens",
            [
                id("id"),
                text("kind"),
                text("name"),
                binary("secret_hash"),
                uuid_null("created_by"),
                text("binding"),
                text("origin"),
                big_integer("created_at"),
                big_integer("expires_at"),
                big_integer_null("revoked_at"),
            ],
        ),
        table(
            "audit_entries",
            [
                id("id"),
                big_integer("at"),
                text("principal"),
                text_null("origin"),
                text("action"),
                text("resource"),
                uuid_null("project_id"),
                text("verdict"),
                text("reason"),
                big_integer("count"),
                text_null("refusal_key"),
            ],
        ),
    ]
}

fn projects() -> Vec<TableCreateStatement> {
    vec![
        table("namespaces", [text("uid").primary_key().take(), uuid("project_id"), big_integer("created_at")]),
        table(
            "projects",
            [
                id("id"),
                text("slug"),
                text("name"),
                uuid_null("owner_id"),
                text("namespace_uid"),
                text("namespace_name"),
                text("settings"),
                big_integer("created_at"),
                big_integer("version"),
            ],
        )
        .foreign_key(&mut reference("owner_id", "users", ForeignKeyAction::Restrict))
        .take(),
        keyed(table("memberships", [uuid("project_id"), uuid("user_id"), text("role")]), ["project_id", "user_id"])
            .foreign_key(&mut reference("project_id", "projects", ForeignKeyAction::Cascade))
            .foreign_key(&mut reference("user_id", "users", ForeignKeyAction::Restrict))
            .take(),
    ]
}

fn resources() -> Vec<TableCreateStatement> {
    vec![
        table(
            "services",
            [id("id"), uuid("project_id"), text("name"), text("config"), text("source"), big_integer("created_at"), big_integer("version")],
        )
        .foreign_key(&mut reference("project_id", "projects", ForeignKeyAction::Restrict))
        .take(),
        table(
            "deployment_groups",
            [
                id("id"),
                uuid("project_id"),
                text("slug"),
                text("name"),
                text("group_type"),
                text("settings"),
                big_integer("created_at"),
                big_integer("version"),
            ],
        )
        .foreign_key(&mut reference("project_id", "projects", ForeignKeyAction::Restrict))
        .take(),
        table(
            "scopes",
            [
                id("id"),
                uuid("group_id"),
                text("slug"),
                text("name"),
                text("settings"),
                uuid_null("backup_dest_datasource_id"),
                big_integer_null("monitor_log_delete_after_seconds"),
                big_integer("created_at"),
                big_integer("version"),
            ],
        )
        .foreign_key(&mut reference("group_id", "deployment_groups", ForeignKeyAction::Cascade))
        .foreign_key(&mut reference("backup_dest_datasource_id", "datasources", ForeignKeyAction::Restrict))
        .take(),
        table(
            "repositories",
            [
                id("id"),
                uuid_null("project_id"),
                text("slug"),
                text("name"),
                text("url"),
                text_null("group_type"),
                uuid_null("credentials_secret_id"),
                big_integer("created_at"),
                big_integer("version"),
            ],
        )
        .foreign_key(&mut reference("project_id", "projects", ForeignKeyAction::Restrict))
        .foreign_key(&mut reference("credentials_secret_id", "secrets", ForeignKeyAction::Restrict))
        .take(),
        table(
            "branches",
            [
                id("id"),
                uuid("repository_id"),
                uuid_null("project_id"),
                text("name"),
                text_null("head_commit"),
                big_integer_null("head_recorded_at"),
                big_integer("created_at"),
                big_integer("version"),
            ],
        )
        .foreign_key(&mut reference("repository_id", "repositories", ForeignKeyAction::Cascade))
        .take(),
        table(
            "images",
            [
                id("id"),
                uuid_null("project_id"),
                uuid_null("repository_id"),
                text("reference"),
                text_null("digest"),
                big_integer_null("digest_recorded_at"),
                big_integer("created_at"),
                big_integer("version"),
            ],
        )
        .foreign_key(&mut reference("project_id", "projects", ForeignKeyAction::Restrict))
        .foreign_key(&mut reference("repository_id", "repositories", ForeignKeyAction::Restrict))
        .take(),
        table(
            "deployments",
            [
                id("id"),
                uuid("project_id"),
                uuid("group_id"),
                text("slug"),
                text("name"),
                uuid_null("scope_id"),
                uuid_null("service_id"),
                uuid_null("branch_id"),
                uuid_null("image_id"),
                boolean("redeploy_on_commit"),
                boolean("redeploy_on_digest"),
                text_null("redeploy_for"),
                text("settings"),
                big_integer("created_at"),
                big_integer("version"),
            ],
        )
        .foreign_key(&mut reference("project_id", "projects", ForeignKeyAction::Restrict))
        .foreign_key(&mut reference("group_id", "deployment_groups", ForeignKeyAction::Restrict))
        .foreign_key(&mut reference("scope_id", "scopes", ForeignKeyAction::Restrict))
        .foreign_key(&mut reference("service_id", "services", ForeignKeyAction::Restrict))
        .foreign_key(&mut reference("branch_id", "branches", ForeignKeyAction::Restrict))
        .foreign_key(&mut reference("image_id", "images", ForeignKeyAction::Restrict))
        .take(),
        table(
            "schedules",
            [
                id("id"),
                uuid("project_id"),
                uuid("deployment_id"),
                text("slug"),
                text("cron"),
                text("time_zone"),
                text("kind"),
                text("context"),
                text("missed"),
                boolean("enabled"),
                text("owner"),
                big_integer_null("next_fire_at"),
                big_integer_null("last_fire_at"),
                uuid_null("last_run_id"),
                text("last_message"),
                big_integer("created_at"),
                big_integer("version"),
            ],
        )
        .foreign_key(&mut reference("deployment_id", "deployments", ForeignKeyAction::Cascade))
        .take(),
        table(
            "monitors",
            [
                id("id"),
                uuid("project_id"),
                uuid("deployment_id"),
                text("slug"),
                text("what"),
                big_integer("interval_seconds"),
                double_null("warning_above"),
                double_null("error_above"),
                big_integer("warning_after"),
                big_integer("error_after"),
                boolean("enabled"),
                text("state"),
                big_integer("since"),
                big_integer_null("checked_at"),
                big_integer("bad"),
                big_integer("very_bad"),
                big_integer("created_at"),
                big_integer("version"),
            ],
        )
        .foreign_key(&mut reference("deployment_id", "deployments", ForeignKeyAction::Cascade))
        .take(),
        // Without a reference: they go in pieces, after their monitor.
        table(
            "monitor_logs",
            [id("id"), uuid("monitor_id"), big_integer("at"), text("outcome"), double_null("value"), text("message"), text("state")],
        ),
        // Monitors that are gone, of whose logs something may be left.
        table("forgotten_monitors", [id("monitor_id")]),
        // What settings say about the queue, under the id of whose settings they are; a cluster's limit, under its id.
        table("queue_rules", [id("id"), text_null("queue_policy"), big_integer_null("max_running")]),
        overrides("group_overrides", "group_id", "deployment_groups"),
        overrides("deployment_overrides", "deployment_id", "deployments"),
    ]
}

/// Roles of members at single places: gone with the place, and with the membership.
fn overrides(name: &'static str, place: &'static str, places: &'static str) -> TableCreateStatement {
    let membership = ForeignKey::create()
        .from_col("project_id")
        .from_col("user_id")
        .to_tbl("memberships")
        .to_col("project_id")
        .to_col("user_id")
        .on_delete(ForeignKeyAction::Cascade)
        .take();
    keyed(table(name, [uuid("user_id"), uuid(place), uuid("project_id"), text("role")]), ["user_id", place])
        .foreign_key(&mut reference(place, places, ForeignKeyAction::Cascade))
        .foreign_key(&mut membership.clone())
        .take()
}

/// The place of an event among all events. In SQLite a plain row number is enough, and faster than one that is never given
/// twice: the newest event is never deleted.
fn position(backend: DbBackend) -> ColumnDef {
    match backend {
        DbBackend::Sqlite => integer("position").primary_key().take(),
        _ => big_pk_auto("position"),
    }
}

/// What keeps a table's rows in the order of its key, where a database does not look them up by a row number of its own faster.
fn clustered(backend: DbBackend) -> &'static str {
    if backend == DbBackend::Sqlite { "WITHOUT ROWID" } else { "" }
}

fn runs(position: ColumnDef, clustered: &str) -> Vec<TableCreateStatement> {
    vec![
        table("plans", [binary("hash").primary_key().take(), text("json")]),
        table(
            "runs",
            [
                id("id"),
                uuid("project_id"),
                uuid("deployment_id"),
                // With the project these say what the run counts against: its group, and its cluster or the id of zeros.
                uuid("group_id"),
                uuid("cluster_id"),
                text("kind"),
                text("state"),
                text("message"),
                text("requested_by"),
                text("origin"),
                text("context"),
                text_null("resumption"),
                binary("plan_hash"),
                text("first_steps"),
                big_integer("step_count"),
                boolean("ready"),
                big_integer_null("not_before"),
                boolean("deferred"),
                uuid_null("worker_id"),
                big_integer("epoch"),
                big_integer("last_seq"),
                big_integer("queued_at"),
                big_integer_null("started_at"),
                big_integer_null("finished_at"),
                uuid_null("release_id"),
                // The end, as `finished_at` has it, up to which it was trimmed.
                big_integer("trimmed_end").default(0).take(),
            ],
        )
        .foreign_key(&mut reference("deployment_id", "deployments", ForeignKeyAction::Restrict))
        .take(),
        keyed(
            table(
                "run_steps",
                [
                    uuid("run_id"),
                    big_integer("idx"),
                    text("name"),
                    big_integer_null("parent"),
                    text("state"),
                    big_integer("attempt"),
                    text("message"),
                    text_null("output"),
                    big_integer_null("started_at"),
                    big_integer_null("finished_at"),
                    big_integer_null("next_attempt_at"),
                    big_integer_null("deadline_at"),
                    text_null("handle"),
                    big_integer("attempts_before"),
                    text_null("undo_data"),
                    text_null("undo_from"),
                    big_integer("reported"),
                ],
            ),
            ["run_id", "idx"],
        )
        .extra(clustered)
        .take(),
        table(
            "run_events",
            [
                position,
                uuid("run_id"),
                uuid("project_id"),
                big_integer("seq"),
                big_integer("at"),
                big_integer("epoch"),
                text("kind"),
                text_null("state"),
                big_integer_null("step"),
                text_null("name"),
                big_integer_null("parent"),
                big_integer_null("attempt"),
                text("message"),
                uuid_null("command_id"),
                text_null("report_id"),
            ],
        ),
        table("run_logs", [id("run_id"), big_integer("size")]),
        keyed(
            table(
                "log_chunks",
                [
                    uuid("run_id"),
                    big_integer("end_offset"),
                    big_integer("start_offset"),
                    big_integer("step"),
                    big_integer("at"),
                    binary("text"),
                ],
            ),
            ["run_id", "end_offset"],
        ),
        table("workers", [id("id"), big_integer("registered_at"), big_integer("lease_until")]),
        // Runs that are gone, of which something is left to be deleted.
        table("forgotten_runs", [id("run_id"), binary("plan_hash")]),
        // The place of the last event, in the order of the feed, that was pruned: one row.
        table("feed_floor", [integer("id").primary_key().take(), big_integer("xact"), big_integer("position")]),
        table("request_keys", [text("request_key").primary_key().take(), binary("content"), uuid("run_id"), big_integer("created_at")]),
    ]
}

fn secrets() -> Vec<TableCreateStatement> {
    let key = ForeignKey::create().from_col("key_version").to_tbl("sealing_keys").to_col("version").take();
    vec![
        // A known value sealed by each key; a key that is given up has no row.
        table("sealing_keys", [big_integer("version").primary_key().take(), binary("sealed"), big_integer("created_at")]),
        table(
            "secrets",
            [
                id("id"),
                uuid_null("project_id"),
                text("name"),
                big_integer("value_version"),
                big_integer("created_at"),
                text("created_by"),
                big_integer("replaced_at"),
                text("replaced_by"),
                big_integer("version"),
            ],
        )
        .foreign_key(&mut reference("project_id", "projects", ForeignKeyAction::Restrict))
        .take(),
        keyed(
            table(
                "secret_values",
                [
                    uuid("secret_id"),
                    big_integer("version"),
                    big_integer("key_version"),
                    binary("sealed"),
                    big_integer("created_at"),
                    text("created_by"),
                ],
            ),
            ["secret_id", "version"],
        )
        .foreign_key(&mut reference("secret_id", "secrets", ForeignKeyAction::Cascade))
        .foreign_key(&mut key.clone().on_delete(ForeignKeyAction::Restrict).take())
        .take(),
        // What settings name, under the id of whose settings they are.
        keyed(table("secret_uses", [uuid("holder_id"), uuid("secret_id")]), ["holder_id", "secret_id"])
            .foreign_key(&mut reference("secret_id", "secrets", ForeignKeyAction::Restrict))
            .take(),
    ]
}

/// What stands outside: data stores of projects and operators, and shared clusters.
fn outside() -> Vec<TableCreateStatement> {
    vec![
        table(
            "datasources",
            [
                id("id"),
                uuid_null("project_id"),
                text("slug"),
                text("name"),
                text("data_type"),
                text("usage"),
                text("config"),
                uuid_null("credentials_secret_id"),
                big_integer("created_at"),
                big_integer("version"),
            ],
        )
        .foreign_key(&mut reference("project_id", "projects", ForeignKeyAction::Restrict))
        .foreign_key(&mut reference("credentials_secret_id", "secrets", ForeignKeyAction::Restrict))
        .take(),
        table(
            "clusters",
            [
                id("id"),
                text("uid"),
                text("slug"),
                text("name"),
                text("state"),
                text_null("api_endpoint"),
                uuid_null("credentials_secret_id"),
                big_integer("created_at"),
                big_integer("version"),
            ],
        )
        .foreign_key(&mut reference("credentials_secret_id", "secrets", ForeignKeyAction::Restrict))
        .take(),
        keyed(
            table("cluster_grants", [uuid("cluster_id"), uuid("project_id"), big_integer("created_at"), text("granted_by")]),
            ["cluster_id", "project_id"],
        )
        .foreign_key(&mut reference("cluster_id", "clusters", ForeignKeyAction::Restrict))
        .foreign_key(&mut reference("project_id", "projects", ForeignKeyAction::Cascade))
        .take(),
    ]
}

/// What refers to resources and plans alike.
fn links() -> Vec<TableCreateStatement> {
    let value =
        ForeignKey::create().from_col("secret_id").from_col("version").to_tbl("secret_values").to_col("secret_id").to_col("version").take();
    let plan = ForeignKey::create().from_col("plan_hash").to_tbl("plans").to_col("hash").on_delete(ForeignKeyAction::Cascade).take();
    let grant = ForeignKey::create()
        .from_col("cluster_id")
        .from_col("project_id")
        .to_tbl("cluster_grants")
        .to_col("cluster_id")
        .to_col("project_id")
        .on_delete(ForeignKeyAction::Restrict)
        .take();
    vec![
        // What plans name.
        table("plan_secrets", [binary("plan_hash"), uuid("secret_id"), big_integer("version")])
            .primary_key(Index::create().col("plan_hash").col("secret_id").col("version"))
            .foreign_key(&mut plan.clone())
            .foreign_key(&mut value.clone().on_delete(ForeignKeyAction::Restrict).take())
            .take(),
        keyed(
            table(
                "cluster_links",
                [
                    uuid("linked_id"),
                    uuid("cluster_id"),
                    uuid("project_id"),
                    // One of these is the one that is linked.
                    uuid_null("deployment_id"),
                    uuid_null("scope_id"),
                    uuid_null("group_id"),
                    big_integer("created_at"),
                ],
            ),
            ["linked_id", "cluster_id"],
        )
        .foreign_key(&mut grant.clone())
        .foreign_key(&mut reference("deployment_id", "deployments", ForeignKeyAction::Cascade))
        .foreign_key(&mut reference("scope_id", "scopes", ForeignKeyAction::Cascade))
        .foreign_key(&mut reference("group_id", "deployment_groups", ForeignKeyAction::Cascade))
        .take(),
    ]
}

fn results() -> Vec<TableCreateStatement> {
    vec![
        table(
            "releases",
            [id("id"), uuid("deployment_id"), uuid("run_id"), binary("plan_hash"), text("config"), big_integer("created_at")],
        ),
        table(
            "deployed_services",
            [
                id("id"),
                uuid("project_id"),
                uuid("deployment_id"),
                uuid_null("cluster_id"),
                text("state"),
                uuid("release_id"),
                uuid("run_id"),
                big_integer("updated_at"),
            ],
        ),
    ]
}
