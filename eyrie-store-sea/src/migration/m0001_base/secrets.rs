//! Secrets, and the keys that they are sealed by.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, binary, text, uuid, uuid_null},
};

use super::table::{id, keyed, reference, table};

pub(super) fn secrets() -> Vec<TableCreateStatement> {
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
