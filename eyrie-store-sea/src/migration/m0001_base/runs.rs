//! Runs, what is recorded of them, and what comes of them.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, big_integer_null, big_pk_auto, binary, boolean, integer, text, text_null, uuid, uuid_null},
    sea_orm::DbBackend,
};

use super::table::{id, keyed, reference, table};

/// The place of an event among all events. In SQLite a plain row number is enough, and faster than one that is never given
/// twice: the newest event is never deleted.
pub(super) fn position(backend: DbBackend) -> ColumnDef {
    match backend {
        DbBackend::Sqlite => integer("position").primary_key().take(),
        _ => big_pk_auto("position"),
    }
}

/// What keeps a table's rows in the order of its key, where a database does not look them up by a row number of its own faster.
pub(super) fn clustered(backend: DbBackend) -> &'static str {
    if backend == DbBackend::Sqlite { "WITHOUT ROWID" } else { "" }
}

pub(super) fn runs(position: ColumnDef, clustered: &str) -> Vec<TableCreateStatement> {
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

pub(super) fn results() -> Vec<TableCreateStatement> {
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
