//! Projects and everything in them.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, big_integer_null, boolean, double_null, text, text_null, uuid, uuid_null},
};

use super::table::{id, keyed, reference, table};

pub(super) fn projects() -> Vec<TableCreateStatement> {
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

pub(super) fn resources() -> Vec<TableCreateStatement> {
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
