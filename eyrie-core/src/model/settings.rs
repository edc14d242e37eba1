//! Settings, and how they are inherited: deployment, then scope, then group, then project, then the built-in default, field by field.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    error::Invalid,
    id::SecretId,
    model::{queue, retention},
    name::SettingKey,
    secret::{self, SecretUse},
    word_enum::word_enum,
};

/// The most fields of one level, and the largest value as JSON in bytes.
const MAX_FIELDS: usize = 200;
const MAX_VALUE: usize = 64 * 1024;

/// The fields that one level sets.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<SettingKey, Value>")]
pub struct Settings(BTreeMap<SettingKey, Value>);

impl TryFrom<BTreeMap<SettingKey, Value>> for Settings {
    type Error = Invalid;

    fn try_from(fields: BTreeMap<SettingKey, Value>) -> Result<Self, Invalid> {
        if fields.len() > MAX_FIELDS {
            return Err(Invalid::new("settings", format!("has {} fields; at most {MAX_FIELDS} are accepted", fields.len())));
        }
        for (key, value) in &fields {
            retention::check(key.as_str(), value).map_err(|invalid| invalid.under("settings"))?;
            let size = value.to_string().len();
            if size > MAX_VALUE {
                return Err(Invalid::new(format!("settings.{key}"), format!("is {size} bytes as JSON; at most {MAX_VALUE} are accepted")));
            }
            queue::check(key.as_str(), value)?;
            secret::check_setting(key.as_str(), value)?;
        }
        Ok(Self(fields))
    }
}

impl Settings {
    /// The same settings with `key` set.
    ///
    /// # Errors
    /// [`Invalid`] when the key is not acceptable or there are too many fields.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Result<Self, Invalid> {
        self.0.insert(SettingKey::new(key)?, value.into());
        Self::try_from(self.0)
    }

    /// The value this level sets for `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(name, _)| name.as_str() == key).map(|(_, value)| value)
    }

    /// The secrets that the fields name.
    #[must_use]
    pub fn secrets(&self) -> BTreeSet<SecretId> {
        let mut found = Vec::new();
        self.0.values().for_each(|value| secret::find_refs(value, &mut found));
        found.into_iter().map(SecretUse::id).collect()
    }

    /// The fields this level sets.
    pub fn iter(&self) -> impl Iterator<Item = (&SettingKey, &Value)> {
        self.0.iter()
    }
}

word_enum! {
    /// Where a resolved field comes from, nearest first.
    pub enum Level("level") {
        /// The deployment itself.
        Deployment = "deployment",
        /// Its scope.
        Scope = "scope",
        /// Its group.
        Group = "group",
        /// Its project.
        Project = "project",
        /// Built in.
        Default = "default",
    }
}

/// One resolved field.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EffectiveValue {
    /// The value.
    pub value: Value,
    /// The level that set it.
    pub level: Level,
}

/// All levels resolved into one, each field with where it comes from.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct EffectiveSettings(BTreeMap<SettingKey, EffectiveValue>);

impl EffectiveSettings {
    /// Resolves the levels, in any order: the nearest level that sets a field wins, the whole value.
    #[must_use]
    pub fn resolve<'a>(levels: impl IntoIterator<Item = (Level, &'a Settings)>) -> Self {
        let mut fields: BTreeMap<SettingKey, EffectiveValue> = BTreeMap::new();
        for (level, settings) in levels {
            for (key, value) in settings.iter() {
                if fields.get(key).is_none_or(|nearest| level < nearest.level) {
                    fields.insert(key.clone(), EffectiveValue { value: value.clone(), level });
                }
            }
        }
        Self(fields)
    }

    /// The resolved value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.explain(key).map(|field| &field.value)
    }

    /// The resolved value of `key`, and the level that set it.
    #[must_use]
    pub fn explain(&self, key: &str) -> Option<&EffectiveValue> {
        self.0.iter().find(|(name, _)| name.as_str() == key).map(|(_, field)| field)
    }

    /// All resolved fields.
    pub fn iter(&self) -> impl Iterator<Item = (&SettingKey, &EffectiveValue)> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_nearest_level_wins_field_by_field() {
        let project = Settings::default().with("a", 1).unwrap().with("b", 1).unwrap().with("c", 1).unwrap();
        let group = Settings::default().with("b", 2).unwrap().with("c", 2).unwrap();
        let deployment = Settings::default().with("c", Value::Null).unwrap();
        let levels = [(Level::Group, &group), (Level::Deployment, &deployment), (Level::Project, &project)];
        let effective = EffectiveSettings::resolve(levels);
        let row = |key| effective.explain(key).map(|f| (f.value.clone(), f.level)).unwrap();
        assert_eq!(row("a"), (1.into(), Level::Project));
        assert_eq!(row("b"), (2.into(), Level::Group));
        assert_eq!(row("c"), (Value::Null, Level::Deployment), "null set near by hides what is set far away");
    }
}
