//! What schemas refuse, and in which words.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::model::Level;

fn schema() -> SettingsSchema {
    SettingsSchema::compile(json!({
        "properties": {
            "replicas": { "type": "integer", "minimum": 1 },
            "size": { "$ref": "#/$defs/size" },
            "hosts": { "type": "array", "items": { "type": "object", "properties": { "name": { "type": "string" } } } },
            "tag": { "type": "string", "pattern": "^(a+)+$" },
        },
        "required": ["replicas"],
        "additionalProperties": false,
        "$defs": { "size": { "enum": ["small", "large"] } },
        "if": { "properties": { "size": { "const": "large" } }, "required": ["size"] },
        "then": { "properties": { "replicas": { "minimum": 3 } } },
    }))
    .unwrap()
}

fn level(fields: Value) -> Settings {
    serde_json::from_value(fields).unwrap()
}

fn told(refused: Result<(), Invalid>) -> (String, String) {
    let refused = refused.unwrap_err();
    (refused.field().to_owned(), refused.reason().to_owned())
}

#[test]
fn a_level_is_held_against_single_fields() {
    let schema = schema();
    for good in [json!({}), json!({ "size": "large" }), json!({ "replicas": 1, "size": "large" }), json!({ "queue_policy": "serial" })] {
        schema.check_level(&level(good)).unwrap();
    }
    for (bad, field) in [
        (json!({ "replicas": "s3cret" }), "settings.replicas"),
        (json!({ "replicas": 0 }), "settings.replicas"),
        (json!({ "size": "s3cret" }), "settings.size"),
        (json!({ "hosts": [{}, { "name": 1 }] }), "settings.hosts[1].name"),
        (json!({ "replica": "s3cret" }), "settings.replica"),
    ] {
        let (named, reason) = told(schema.check_level(&level(bad.clone())));
        assert_eq!(named, field, "{bad}");
        assert!(!reason.contains("s3cret"), "{reason}");
    }
    let secret = json!({ "$secret": crate::id::SecretId::new() });
    schema.check_level(&level(json!({ "tag": secret, "size": secret, "hosts": [{ "name": secret }] }))).unwrap();
    assert_eq!(told(schema.check_level(&level(json!({ "tag": secret, "replicas": "2" })))).0, "settings.replicas");
    assert_eq!(told(schema.check_level(&level(json!({ "replicas": "2" })))).1, "the value is not of type \"integer\"");
}

#[test]
fn what_is_deployed_is_held_against_the_whole() {
    let schema = schema();
    let whole = |project: Value, deployment: Value| {
        let (project, deployment) = (level(project), level(deployment));
        schema.check_whole(&EffectiveSettings::resolve([(Level::Project, &project), (Level::Deployment, &deployment)]))
    };
    whole(json!({ "replicas": 3 }), json!({ "size": "large" })).unwrap();
    assert_eq!(told(whole(json!({ "replicas": 2 }), json!({ "size": "large" }))).0, "settings.replicas", "fields together");
    let missing = ("settings.replicas".to_owned(), "is missing, and nothing is inherited for it".to_owned());
    assert_eq!(told(whole(json!({}), json!({ "size": "small" }))), missing);
}

#[test]
fn a_schema_refers_to_nothing_outside_and_its_patterns_cannot_run_wild() {
    for bad in [
        json!([]),
        json!({ "properties": 1 }),
        json!({ "properties": { "a": { "type": "no such type" } } }),
        json!({ "properties": { "a": { "$ref": "http://127.0.0.1:1/schema.json" } } }),
        json!({ "properties": { "a": { "$ref": "file:///etc/passwd" } } }),
        json!({ "properties": { "a": { "pattern": "(a)\\1" } } }),
        json!({ "properties": { "a": { "pattern": "((a{100}){100}){100}" } } }),
        json!({ "description": "x".repeat(MAX_SCHEMA) }),
    ] {
        let refused = SettingsSchema::compile(bad.clone());
        assert!(refused.is_err_and(|refused| refused.field().starts_with("schema")), "{}", cut(&bad.to_string()));
    }
    let begun = std::time::Instant::now();
    let wild = format!("{}b", "a".repeat(60_000));
    schema().check_level(&level(json!({ "tag": wild }))).unwrap_err();
    assert!(begun.elapsed() < std::time::Duration::from_secs(5));
}

/// The schema that everybody is shown says the same as the checks of the levels.
#[test]
fn the_settings_of_every_type_are_described_as_they_are_checked() {
    let schema = SettingsSchema::compile(json!({ "properties": { "max_running": true } })).unwrap();
    let values = [
        json!(null),
        json!(0),
        json!(1),
        json!(10_001),
        json!(1_000_001),
        json!(1u64 << 40),
        json!(-1),
        json!(1.5),
        json!("serial"),
        json!("x"),
        json!([]),
        json!({}),
    ];
    for key in of_every_type().keys() {
        for value in &values {
            let level = serde_json::from_value::<Settings>(json!({ (key): value }));
            let described = schema.fields.is_valid(&json!({ (key): value }));
            assert_eq!(described, level.is_ok(), "{key} {value}");
        }
    }
}
