//! Settings, and how they are inherited: deployment, then scope, then group, then project, then the built-in default, field by field.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    error::Invalid,
    id::SecretId,
    model::{discovery, json_bound::check_json, queue, retention},
    name::SettingKey,
    secret::{self, SecretUse},
    word_enum::word_enum,
};

/// The most fields of one level, the largest value as JSON in bytes, and the deepest.
const MAX_FIELDS: usize = 200;
const MAX_VALUE: usize = 64 * 1024;
const MAX_DEPTH: usize = 32;

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
            check_json(value, MAX_DEPTH, MAX_VALUE, || format!("settings.{key}"))?;
            queue::check(key.as_str(), value)?;
            discovery::check(key.as_str(), value)?;
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

    /// The fields that `other` does not set, or sets to something else.
    #[must_use]
    pub fn differing_from(&self, other: &Self) -> Self {
        Self(
            self.0
                .iter()
                .filter(|(key, value)| other.0.get(*key) != Some(*value))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
        )
    }

    /// This level's settings after a change: replaced as a whole, changed field by field, or as they are.
    ///
    /// # Errors
    /// [`Invalid`] when both are given, or there would be too many fields.
    pub fn changed(self, whole: Option<Self>, patch: Option<SettingsPatch>) -> Result<Self, Invalid> {
        match (whole, patch) {
            (Some(_), Some(_)) => Err(Invalid::new("settings_patch", "give the settings as a whole, or a patch of them")),
            (Some(whole), None) => Ok(whole),
            (None, None) => Ok(self),
            (None, Some(SettingsPatch(fields))) => {
                let mut settings = self.0;
                for (key, value) in fields {
                    match value {
                        Value::Null => drop(settings.remove(&key)),
                        value => drop(settings.insert(key, value)),
                    }
                }
                Self::try_from(settings)
            }
        }
    }
}

/// A change to single fields of one level: a JSON merge patch (RFC 7396) of the top level. A field that is null is no longer set by
/// this level, and so inherited again; any other value takes the field's place as a whole, also where it is an object. What is not
/// named stays. (A field can be set to null, which hides what is set further away, by giving the settings as a whole.)
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(try_from = "BTreeMap<SettingKey, Value>")]
pub struct SettingsPatch(BTreeMap<SettingKey, Value>);

impl TryFrom<BTreeMap<SettingKey, Value>> for SettingsPatch {
    type Error = Invalid;

    fn try_from(fields: BTreeMap<SettingKey, Value>) -> Result<Self, Invalid> {
        let named = fields.len();
        if named > 2 * MAX_FIELDS {
            return Err(Invalid::new("settings_patch", format!("names {named} fields; at most {} are accepted", 2 * MAX_FIELDS)));
        }
        Ok(Self(fields))
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
    /// What levels further away set, nearest first, and what would count if this level did not set it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hides: Vec<HiddenValue>,
}

/// What one level sets for a field that a nearer level sets too.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HiddenValue {
    /// The level that set it.
    pub level: Level,
    /// The value.
    pub value: Value,
}

/// All levels resolved into one, each field with where it comes from.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct EffectiveSettings(BTreeMap<SettingKey, EffectiveValue>);

impl EffectiveSettings {
    /// Resolves the levels, in any order: the nearest level that sets a field wins, the whole value.
    #[must_use]
    pub fn resolve<'a>(levels: impl IntoIterator<Item = (Level, &'a Settings)>) -> Self {
        let mut levels = Vec::from_iter(levels);
        levels.sort_by_key(|(level, _)| *level);
        let mut fields: BTreeMap<SettingKey, EffectiveValue> = BTreeMap::new();
        for (level, settings) in levels {
            for (key, value) in settings.iter() {
                let value = value.clone();
                match fields.get_mut(key) {
                    Some(nearest) => nearest.hides.push(HiddenValue { level, value }),
                    None => drop(fields.insert(key.clone(), EffectiveValue { value, level, hides: Vec::new() })),
                }
            }
        }
        Self(fields)
    }

    /// The resolved values alone, as a JSON object.
    #[must_use]
    pub fn values(&self) -> Value {
        self.0.iter().map(|(key, field)| (key.to_string(), field.value.clone())).collect::<serde_json::Map<_, _>>().into()
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
        let hidden = |key: &str| effective.explain(key).unwrap().hides.iter().map(|one| (one.level, one.value.clone())).collect::<Vec<_>>();
        assert_eq!(hidden("a"), []);
        assert_eq!(hidden("c"), [(Level::Group, 2.into()), (Level::Project, 1.into())], "nearest first");
    }

    #[test]
    fn a_patch_changes_the_fields_that_it_names() {
        let now =
            || Settings::default().with("a", 1).unwrap().with("b", serde_json::json!({ "x": 1, "y": 2 })).unwrap().with("c", 3).unwrap();
        let patch = |json| Some(serde_json::from_value::<SettingsPatch>(json).unwrap());
        let changed = now().changed(None, patch(serde_json::json!({ "a": null, "b": { "x": 9 }, "d": 4, "none": null }))).unwrap();
        let expected = serde_json::json!({ "b": { "x": 9 }, "c": 3, "d": 4 });
        assert_eq!(serde_json::to_value(&changed).unwrap(), expected, "values are replaced whole");
        assert_eq!(now().changed(None, None).unwrap(), now());
        assert_eq!(now().changed(Some(changed.clone()), None).unwrap(), changed);
        assert_eq!(now().changed(Some(changed), patch(serde_json::json!({}))).unwrap_err().field(), "settings_patch");
        let refused = now().changed(None, patch(serde_json::json!({ "queue_policy": "first" }))).unwrap_err();
        assert_eq!(refused.field(), "settings.queue_policy");
        let many: BTreeMap<_, _> = (0..MAX_FIELDS).map(|n| (format!("k{n}"), n)).collect();
        assert_eq!(now().changed(None, patch(serde_json::json!(many))).unwrap_err().field(), "settings");
    }
}
