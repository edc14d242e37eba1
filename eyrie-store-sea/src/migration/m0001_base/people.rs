//! People, their tokens, and what they did.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, big_integer_null, binary, boolean, text, text_null, uuid_null},
};

use super::table::{id, table};

pub(super) fn people() -> Vec<TableCreateStatement> {
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
                uuid_null("project_id"),
                text("capabilities"),
                text("origin"),
                big_integer("created_at"),
                big_integer("expires_at"),
                big_integer_null("revoked_at"),
                big_integer_null("last_used_at"),
                uuid_null("replaces"),
            ],
        ),
        table("failed_sign_ins", [big_integer("id").primary_key().take(), big_integer("number"), big_integer("last_at")]),
        table(
            "audit_entries",
            [
                id("id"),
                big_integer("at"),
                text("principal"),
                uuid_null("person_id"),
                uuid_null("token_id"),
                text_null("origin"),
                text_null("request_id"),
                text("action"),
                text("resource"),
                uuid_null("project_id"),
                text("verdict"),
                text("reason"),
                big_integer("count"),
                text_null("refusal_key"),
                text_null("refused_source"),
            ],
        ),
    ]
}
