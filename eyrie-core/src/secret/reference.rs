//! How settings and plans name a secret instead of holding its value.
//!
//! Settings say `{"$secret": "<id>"}`: the newest value, whenever a plan is made. A plan says
//! `{"$secret": {"id": "<id>", "version": 3}}`: that very value, whenever a step begins.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{error::Invalid, id::SecretId, secret::SecretValue};

/// The one field of an object that stands for a secret.
pub const SECRET_KEY: &str = "$secret";

/// A version of a secret's value, as plans and releases name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretRef {
    /// The secret.
    pub id: SecretId,
    /// Which of its values, from 1.
    pub version: u64,
}

impl SecretRef {
    /// The reference as it stands in a plan.
    #[must_use]
    pub fn to_value(self) -> Value {
        serde_json::json!({ SECRET_KEY: { "id": self.id, "version": self.version } })
    }
}

/// What stands in the place of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretUse {
    /// The newest value by the time that a plan is made: as settings say it.
    Newest(SecretId),
    /// That very value.
    Pinned(SecretRef),
}

impl SecretUse {
    /// The secret.
    #[must_use]
    pub const fn id(self) -> SecretId {
        match self {
            Self::Newest(id) | Self::Pinned(SecretRef { id, .. }) => id,
        }
    }

    /// What the object stands for; none: it is an object like any other.
    fn of(fields: &Map<String, Value>, path: &dyn Fn() -> String) -> Result<Option<Self>, Invalid> {
        let Some(said) = fields.get(SECRET_KEY) else { return Ok(None) };
        let refused = || {
            let accepted = "must be the id of a secret, or in a plan {\"id\": …, \"version\": …}, and the only field of its object";
            Invalid::new(format!("{}.{SECRET_KEY}", path()), accepted)
        };
        if fields.len() != 1 {
            return Err(refused());
        }
        match said {
            Value::String(id) => id.parse().map(|id| Some(Self::Newest(id))).map_err(|_| refused()),
            Value::Object(_) => SecretRef::deserialize(said).map(|pinned| Some(Self::Pinned(pinned))).map_err(|_| refused()),
            _ => Err(refused()),
        }
    }
}

/// Where in a value something stands.
struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    part: std::borrow::Cow<'a, str>,
}

impl std::fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.parent {
            Some(parent) => write!(f, "{parent}.{}", self.part),
            None => f.write_str(&self.part),
        }
    }
}

/// Says what to put in the place of a secret that is named at a path; none: it stays as it is.
pub(crate) type ChangeUse<'a> = dyn FnMut(&str, SecretUse) -> Result<Option<Value>, Invalid> + 'a;

/// Puts what `change` says in the place of every secret within `value`, which stands at `field`. Objects that name none stay.
pub(crate) fn map_uses(value: &mut Value, field: &str, change: &mut ChangeUse<'_>) -> Result<(), Invalid> {
    walk(value, &Path { parent: None, part: field.into() }, change)
}

fn walk(value: &mut Value, path: &Path<'_>, change: &mut ChangeUse<'_>) -> Result<(), Invalid> {
    match value {
        Value::Object(fields) => {
            if let Some(found) = SecretUse::of(fields, &|| path.to_string())? {
                if let Some(other) = change(&path.to_string(), found)? {
                    *value = other;
                }
                return Ok(());
            }
            for (name, inner) in fields.iter_mut() {
                walk(inner, &Path { parent: Some(path), part: name.as_str().into() }, change)?;
            }
            Ok(())
        }
        Value::Array(items) => {
            for (place, inner) in items.iter_mut().enumerate() {
                walk(inner, &Path { parent: Some(path), part: place.to_string().into() }, change)?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Every secret that the value names. What only looks like one is passed over: whoever kept the value had it checked.
pub(crate) fn find_refs(value: &Value, found: &mut Vec<SecretUse>) {
    match value {
        Value::Object(fields) => match SecretUse::of(fields, &String::new) {
            Ok(Some(one)) => found.push(one),
            _ => fields.values().for_each(|inner| find_refs(inner, found)),
        },
        Value::Array(items) => items.iter().for_each(|inner| find_refs(inner, found)),
        _ => {}
    }
}

/// The value with every pinned secret opened.
pub(crate) fn resolve(value: &Value, open: &dyn Fn(SecretRef) -> Option<SecretValue>) -> Value {
    match value {
        Value::Object(fields) => match SecretUse::of(fields, &String::new) {
            Ok(Some(SecretUse::Pinned(one))) => open(one).map_or_else(|| value.clone(), |opened| Value::from(opened.reveal())),
            _ => fields.iter().map(|(name, inner)| (name.clone(), resolve(inner, open))).collect::<Map<_, _>>().into(),
        },
        Value::Array(items) => items.iter().map(|inner| resolve(inner, open)).collect(),
        other => other.clone(),
    }
}

/// Refuses a setting that names a secret in another way than settings do.
pub(crate) fn check_setting(key: &str, value: &Value) -> Result<(), Invalid> {
    let mut copy = value.clone();
    map_uses(&mut copy, &format!("settings.{key}"), &mut |path, found| match found {
        SecretUse::Newest(_) => Ok(None),
        SecretUse::Pinned(_) => Err(Invalid::new(format!("{path}.{SECRET_KEY}"), "must be the id of a secret: settings name no version")),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn references_are_found_pinned_and_opened() {
        let id = SecretId::new();
        let mut value = json!({ "a": [1, { "$secret": id }], "b": { "c": { "$secret": { "id": id, "version": 2 } } }, "d": "$secret" });
        let mut found = Vec::new();
        find_refs(&value, &mut found);
        let pinned = SecretRef { id, version: 2 };
        assert_eq!(found, [SecretUse::Newest(id), SecretUse::Pinned(pinned)]);
        let mut paths = Vec::new();
        map_uses(&mut value, "plan", &mut |path, found| {
            paths.push(path.to_owned());
            Ok(matches!(found, SecretUse::Newest(_)).then(|| SecretRef { id, version: 7 }.to_value()))
        })
        .unwrap();
        assert_eq!(paths, ["plan.a.1", "plan.b.c"]);
        let opened = resolve(&value, &|one| Some(SecretValue::new(format!("value {}", one.version)).unwrap()));
        assert_eq!(opened, json!({ "a": [1, "value 7"], "b": { "c": "value 2" }, "d": "$secret" }));
    }

    #[test]
    fn what_is_no_reference_is_refused_by_its_field() {
        let id = SecretId::new();
        for bad in
            [json!({ "$secret": 5 }), json!({ "$secret": "x" }), json!({ "$secret": id, "more": 1 }), json!({ "$secret": { "id": id } })]
        {
            assert_eq!(check_setting("db", &json!({ "password": bad })).unwrap_err().field(), "settings.db.password.$secret");
        }
        assert!(check_setting("db", &json!({ "$secret": { "id": id, "version": 1 } })).unwrap_err().reason().contains("no version"));
        check_setting("db", &json!({ "$secret": id })).unwrap();
    }
}
