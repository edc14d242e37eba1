//! What stands outside: datasources and clusters, and who may use these.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, binary, text, text_null, uuid, uuid_null},
};

use super::table::{id, keyed, reference, table};

/// What stands outside: data stores of projects and operators, and shared clusters.
pub(super) fn outside() -> Vec<TableCreateStatement> {
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
pub(super) fn links() -> Vec<TableCreateStatement> {
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
