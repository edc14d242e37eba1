//! Who did what to what, from where, allowed or refused.

use serde::Serialize;

use crate::{
    clock::Timestamp,
    id::{AuditId, ProjectId, TokenId},
    model::PrincipalRef,
    name::{Origin, RequestId},
    word_enum::word_enum,
};

word_enum! {
    /// Whether what was asked for was done.
    pub enum Verdict("verdict") {
        /// It was allowed and done.
        Allowed = "allowed",
        /// It was refused.
        Refused = "refused",
    }
}

/// One line of the audit. An allowed one is committed with what it records. Refusals of one source are counted by the minute.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AuditEntry {
    /// The entry's id.
    pub id: AuditId,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub principal: PrincipalRef,
    /// The token that proved it: the session, or the token itself.
    pub token_id: Option<TokenId>,
    /// From where.
    pub origin: Option<Origin>,
    /// In which request.
    pub request_id: Option<RequestId>,
    /// What was asked for, by the name of the permission: `project.create`, `run.cancel` …
    pub action: String,
    /// To what: kind and id.
    pub resource: String,
    /// The project it belongs to.
    pub project_id: Option<ProjectId>,
    /// How it ended.
    pub verdict: Verdict,
    /// More about it, never a secret.
    pub reason: String,
    /// How often, within the minute, for refusals.
    pub count: u32,
}
