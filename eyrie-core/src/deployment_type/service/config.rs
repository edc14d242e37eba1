//! A service's `config.json`. Fields that this program does not know are kept and handed to the script.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::{error::Invalid, model::RunKind, name::StepName};

/// The parts of a service's config that the server itself reads.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ServiceConfig {
    #[serde(default)]
    description: String,
    #[serde(default = "default_script")]
    deploy_script: String,
    #[serde(default)]
    scripts: BTreeMap<String, String>,
    #[serde(default)]
    steps: Vec<ExpectedStep>,
    #[serde(default)]
    ansible_playbook: Option<String>,
    #[serde(default)]
    timeout_seconds: Option<u64>,
    #[serde(default = "yes")]
    running: bool,
    #[serde(default)]
    on_crash: OnCrash,
    #[serde(default = "one")]
    max_attempts: u32,
    #[serde(skip)]
    expected: Vec<StepName>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
enum ExpectedStep {
    Named { name: String },
    Plain(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OnCrash {
    #[default]
    Rerun,
    NeedsOperator,
}

fn default_script() -> String {
    "deploy.sh".to_owned()
}

const fn yes() -> bool {
    true
}

const fn one() -> u32 {
    1
}

impl ServiceConfig {
    /// Reads a config.
    ///
    /// # Errors
    /// [`Invalid`] names the field and what would be accepted.
    pub fn parse(config: &Value) -> Result<Self, Invalid> {
        if !config.is_object() {
            return Err(Invalid::new("config", "must be a JSON object"));
        }
        let read: Result<Self, _> = serde_path_to_error::deserialize(config);
        let mut config = read.map_err(|error| Invalid::new(error.path().to_string(), error.inner().to_string()))?;
        if config.timeout_seconds == Some(0) {
            return Err(Invalid::new("timeout_seconds", "must be at least 1"));
        }
        if !(1..=100).contains(&config.max_attempts) {
            return Err(Invalid::new("max_attempts", "must be 1 to 100"));
        }
        if let Some(unknown) = config.scripts.keys().find(|kind| kind.parse::<RunKind>().is_err()) {
            let kinds: Vec<_> = RunKind::ALL.iter().map(|kind| kind.as_str()).collect();
            return Err(Invalid::new(format!("scripts.{unknown}"), format!("must be one of {}", kinds.join(" "))));
        }
        for (place, step) in config.steps.iter().enumerate() {
            let (ExpectedStep::Named { name } | ExpectedStep::Plain(name)) = step;
            config
                .expected
                .push(StepName::new(name.clone()).map_err(|invalid| Invalid::new(format!("steps[{place}].name"), invalid.reason()))?);
        }
        Ok(config)
    }

    /// What the service is, for people.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The script for a run of that kind, as the config names it.
    #[must_use]
    pub fn script(&self, kind: RunKind) -> Option<&str> {
        match (self.scripts.get(kind.as_str()), kind) {
            (Some(script), _) => Some(script),
            (None, RunKind::Deploy) => Some(&self.deploy_script),
            (None, _) => None,
        }
    }

    /// The steps that the config names.
    #[must_use]
    pub fn expected_steps(&self) -> &[StepName] {
        &self.expected
    }

    /// The playbook whose task names are the steps.
    #[must_use]
    pub fn ansible_playbook(&self) -> Option<&str> {
        self.ansible_playbook.as_deref()
    }

    /// How long the script may take, in seconds.
    #[must_use]
    pub fn timeout_seconds(&self) -> Option<u64> {
        self.timeout_seconds
    }

    /// How often the script is tried, the first time included.
    #[must_use]
    pub fn max_attempts(&self) -> u32 {
        self.max_attempts
    }

    /// Whether a successful deploy leaves something running.
    #[must_use]
    pub fn leaves_running(&self) -> bool {
        self.running
    }

    /// Whether an operator decides after the server died in the middle of the script.
    #[must_use]
    pub fn needs_operator_after_crash(&self) -> bool {
        self.on_crash == OnCrash::NeedsOperator
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn a_config_of_the_older_server_is_read() {
        let config = ServiceConfig::parse(&json!({"deploy_script": "deploy.py", "description": "x", "steps": [{"name": "a"}, {"name": "b"}], "name": "kept", "hosts": [1]})).unwrap();
        assert_eq!(config.script(RunKind::Deploy), Some("deploy.py"));
        assert_eq!(config.script(RunKind::Stop), None);
        assert_eq!(config.expected_steps().len(), 2);
        assert_eq!(ServiceConfig::parse(&json!({})).unwrap().script(RunKind::Deploy), Some("deploy.sh"));
    }

    #[test]
    fn a_bad_field_is_named() {
        for (config, field) in [
            (json!({"deploy_script": 7}), "deploy_script"),
            (json!({"steps": [{"name": "ok"}, {"name": ""}]}), "steps[1].name"),
            (json!({"timeout_seconds": -1}), "timeout_seconds"),
            (json!({"timeout_seconds": 0}), "timeout_seconds"),
            (json!({"scripts": {"explode": "x"}}), "scripts.explode"),
            (json!([]), "config"),
        ] {
            assert_eq!(ServiceConfig::parse(&config).unwrap_err().field(), field, "{config}");
        }
    }
}
