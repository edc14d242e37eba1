//! The tables: one file each, with its row and the ways between row and model. A row can be bad, a model cannot.
#![allow(unreachable_pub, reason = "what SeaORM derives is public within this private module")]

pub(crate) mod audit_entry;
pub(crate) mod cluster;
pub(crate) mod cluster_grant;
pub(crate) mod cluster_link;
pub(crate) mod branch;
pub(crate) mod column;
pub(crate) mod datasource;
pub(crate) mod deployed_service;
pub(crate) mod deployment;
pub(crate) mod deployment_group;
pub(crate) mod deployment_override;
pub(crate) mod group_override;
pub(crate) mod image;
pub(crate) mod log_chunk;
pub(crate) mod membership;
pub(crate) mod namespace;
pub(crate) mod plan;
pub(crate) mod project;
pub(crate) mod queue_rule;
pub(crate) mod release;
pub(crate) mod repository;
pub(crate) mod request_key;
pub(crate) mod run;
pub(crate) mod run_event;
pub(crate) mod run_step;
pub(crate) mod schedule;
pub(crate) mod scope;
pub(crate) mod sealing_key;
pub(crate) mod secret;
pub(crate) mod secret_use;
pub(crate) mod secret_value;
pub(crate) mod service;
pub(crate) mod token;
pub(crate) mod user;
pub(crate) mod worker;
