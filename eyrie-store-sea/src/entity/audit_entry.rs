//! The audit.

use eyrie_core::{
    id::{AuditId, ProjectId, TokenId, UserId},
    model::{AuditEntry, Verdict},
};
use sea_orm::entity::prelude::*;

use crate::{
    entity::column::{counted_small, json, maybe, micros, parsed, time, word},
    error::Failure,
};

/// A row.
#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_entries")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) at: i64,
    pub(crate) principal: String,
    pub(crate) person_id: Option<Uuid>,
    pub(crate) token_id: Option<Uuid>,
    pub(crate) origin: Option<String>,
    pub(crate) request_id: Option<String>,
    pub(crate) action: String,
    pub(crate) resource: String,
    pub(crate) project_id: Option<Uuid>,
    pub(crate) verdict: String,
    pub(crate) reason: String,
    pub(crate) count: i64,
    pub(crate) refusal_key: Option<String>,
    pub(crate) refused_source: Option<String>,
}

/// No relation is followed by SeaORM; the references are in the migration.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// The minute that refusals of one source are counted in.
const MINUTE: i64 = 60_000_000;

impl From<&AuditEntry> for Model {
    fn from(entry: &AuditEntry) -> Self {
        let at = micros(entry.at);
        let principal = json(&entry.principal);
        let source = (at.div_euclid(MINUTE), &entry.principal, &entry.origin, &entry.action, &entry.resource);
        let (refusal_key, refused_source) = match entry.verdict {
            Verdict::Refused => (Some(json(&source)), Some(json(&(&entry.principal, &entry.origin)))),
            Verdict::Allowed => (None, None),
        };
        Self {
            id: entry.id.uuid(),
            at,
            principal,
            person_id: entry.principal.person().map(UserId::uuid),
            token_id: entry.token_id.map(TokenId::uuid),
            origin: entry.origin.as_ref().map(ToString::to_string),
            request_id: entry.request_id.as_ref().map(ToString::to_string),
            action: entry.action.clone(),
            resource: entry.resource.clone(),
            project_id: entry.project_id.map(ProjectId::uuid),
            verdict: entry.verdict.as_str().to_owned(),
            reason: entry.reason.clone(),
            count: i64::from(entry.count),
            refusal_key,
            refused_source,
        }
    }
}

impl TryFrom<Model> for AuditEntry {
    type Error = Failure;

    fn try_from(row: Model) -> Result<Self, Failure> {
        Ok(Self {
            id: AuditId::from_uuid(row.id),
            at: time(row.at),
            principal: parsed(&row.principal)?,
            token_id: maybe(row.token_id, TokenId::from_uuid),
            request_id: row.request_id.as_deref().map(word).transpose()?,
            origin: row.origin.as_deref().map(word).transpose()?,
            action: row.action,
            resource: row.resource,
            project_id: maybe(row.project_id, ProjectId::from_uuid),
            verdict: word(&row.verdict)?,
            reason: row.reason,
            count: counted_small(row.count)?,
        })
    }
}
