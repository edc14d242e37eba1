//! Services: how a thing is deployed, as a JSON config.

use serde::Serialize;
use serde_json::Value;

use crate::{
    clock::Timestamp,
    id::{ProjectId, ServiceId},
    name::ServiceName,
    word_enum::word_enum,
};

word_enum! {
    /// Where a service's config comes from.
    pub enum ServiceSource("source") {
        /// The services directory; changed there only.
        Directory = "directory",
        /// The API.
        Api = "api",
    }
}

/// A name plus a JSON config that says how a thing is deployed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Service {
    /// The service's id.
    pub id: ServiceId,
    /// The project that owns it.
    pub project_id: ProjectId,
    /// Unique within the project; the name of its folder below the services root.
    pub name: ServiceName,
    /// The config, as the user wrote it.
    pub config: Value,
    /// Where the config comes from.
    pub source: ServiceSource,
    /// When it was made.
    pub created_at: Timestamp,
    /// Grows at every change.
    pub version: u64,
}
