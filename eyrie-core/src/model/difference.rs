//! What differs between two pieces of JSON, field by field.

use serde::Serialize;
use serde_json::Value;

/// One field that differs. A side that does not have the field has none of the two values.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// Which field: a JSON pointer (RFC 6901).
    pub path: String,
    /// The value before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// The value after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// The most differences that are listed.
pub const MAX_DIFFERENCES: usize = 1000;

impl Difference {
    /// What differs, in the order of the fields' names. Objects are compared field by field, everything else (lists too) as a whole.
    /// Behind the first [`MAX_DIFFERENCES`] comes at most one more, which says that there are more.
    #[must_use]
    pub fn between(before: &Value, after: &Value) -> Vec<Self> {
        let mut found = Vec::new();
        compare(&mut found, "", Some(before), Some(after));
        found
    }
}

fn compare(found: &mut Vec<Difference>, path: &str, before: Option<&Value>, after: Option<&Value>) {
    if found.len() > MAX_DIFFERENCES || before == after {
        return;
    }
    if let (Some(Value::Object(old)), Some(Value::Object(new))) = (before, after) {
        let mut keys: Vec<_> = old.keys().chain(new.keys().filter(|key| !old.contains_key(*key))).collect();
        keys.sort_unstable();
        for key in keys {
            let escaped = key.replace('~', "~0").replace('/', "~1");
            compare(found, &format!("{path}/{escaped}"), old.get(key), new.get(key));
        }
        return;
    }
    found.push(Difference { path: path.to_owned(), before: before.cloned(), after: after.cloned() });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_named_where_they_differ() {
        let before = json!({ "same": [1], "gone": 1, "a/b": { "~": 1, "kept": {} }, "list": [1, 2], "null": null });
        let after = json!({ "same": [1], "new": false, "a/b": { "~": 2, "kept": {} }, "list": [1], "null": 0 });
        let found = serde_json::to_value(Difference::between(&before, &after)).unwrap_or_default();
        let expected = json!([
            { "path": "/a~1b/~0", "before": 1, "after": 2 },
            { "path": "/gone", "before": 1 },
            { "path": "/list", "before": [1, 2], "after": [1] },
            { "path": "/new", "after": false },
            { "path": "/null", "before": null, "after": 0 },
        ]);
        assert_eq!(found, expected);
        assert_eq!(Difference::between(&before, &before), []);
        assert_eq!(Difference::between(&json!(1), &json!({}))[0].path, "", "the whole");
    }

    #[test]
    fn there_is_an_end_to_it() {
        let many: serde_json::Map<_, _> = (0..5000).map(|n| (n.to_string(), json!(n))).collect();
        assert_eq!(Difference::between(&json!({}), &many.into()).len(), MAX_DIFFERENCES + 1);
    }
}
