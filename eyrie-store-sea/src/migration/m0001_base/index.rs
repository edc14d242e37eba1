//! Indexes, and what else is beside the tables.

/// Indexes, in words that SQLite and PostgreSQL share.
pub(super) const INDEXES: &[&str] = &[
    "CREATE UNIQUE INDEX projects_slug ON projects (slug)",
    "CREATE UNIQUE INDEX projects_namespace ON projects (namespace_uid)",
    "CREATE INDEX projects_owner ON projects (owner_id)",
    "CREATE INDEX memberships_user ON memberships (user_id)",
    "CREATE UNIQUE INDEX users_name ON users (name)",
    "CREATE UNIQUE INDEX tokens_secret ON tokens (secret_hash)",
    "CREATE INDEX tokens_creator ON tokens (created_by, id)",
    "CREATE INDEX tokens_of_project ON tokens (project_id, id)",
    // What pruning looks for.
    "CREATE INDEX tokens_expired ON tokens (expires_at)",
    "CREATE INDEX tokens_revoked ON tokens (revoked_at) WHERE revoked_at IS NOT NULL",
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
    "CREATE INDEX audit_entries_person ON audit_entries (person_id, id) WHERE person_id IS NOT NULL",
    "CREATE INDEX audit_entries_token ON audit_entries (token_id, id) WHERE token_id IS NOT NULL",
    "CREATE INDEX audit_entries_at ON audit_entries (at)",
    "CREATE INDEX audit_entries_refused_source ON audit_entries (refused_source, id) WHERE refused_source IS NOT NULL",
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
pub(super) const POSTGRES_ONLY: &[&str] = &[
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

pub(super) const SQLITE_ONLY: &[&str] =
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
