//! The JSON schema of a deployment type's settings.
//!
//! Each level holds some of the fields only, so it is held against the fields' own schemas; what a deploy would use, all levels
//! resolved, against the whole: what is required, and what fields mean for each other.

use jsonschema::{PatternOptions, ValidationError, Validator, error::ValidationErrorKind};
use serde_json::{Map, Value, json};

use crate::{
    error::Invalid,
    model::{EffectiveSettings, Settings},
    secret::SECRET_KEY,
};

/// The largest schema, as JSON in bytes.
const MAX_SCHEMA: usize = 256 * 1024;
/// The most memory that one pattern of a schema may take, in bytes.
const MAX_PATTERN: usize = 1 << 20;
/// The longest field name and reason in a refusal, in characters.
const MAX_TOLD: usize = 300;

/// What of a schema speaks about single fields.
const ABOUT_FIELDS: &[&str] =
    &["$schema", "$id", "$defs", "definitions", "type", "properties", "patternProperties", "additionalProperties", "propertyNames"];

/// A schema, ready to be used. It refers to nothing outside itself, and its patterns are matched in time linear to the text.
#[derive(Debug)]
pub struct SettingsSchema {
    document: Value,
    whole: Validator,
    fields: Validator,
}

impl SettingsSchema {
    /// Reads a JSON schema (draft 2020-12 unless it says another one). The settings that every type has are added to it.
    ///
    /// # Errors
    /// [`Invalid`] when it is no acceptable schema.
    pub fn compile(schema: Value) -> Result<Self, Invalid> {
        let Value::Object(mut document) = schema else { return Err(Invalid::new("schema", "must be a JSON object")) };
        document.entry("type").or_insert_with(|| "object".into());
        let properties = document.entry("properties").or_insert_with(|| json!({}));
        let Some(properties) = properties.as_object_mut() else {
            return Err(Invalid::new("schema.properties", "must be a JSON object"));
        };
        properties.extend(of_every_type());
        let fields: Map<_, _> = document
            .iter()
            .filter(|(key, _)| ABOUT_FIELDS.contains(&key.as_str()))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let document = Value::Object(document);
        let size = document.to_string().len();
        if size > MAX_SCHEMA {
            return Err(Invalid::new("schema", format!("is {size} bytes as JSON; at most {MAX_SCHEMA} are accepted")));
        }
        Ok(Self { whole: validator(&document)?, fields: validator(&fields.into())?, document })
    }

    /// The schema as JSON, with the settings that every type has.
    #[must_use]
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// Whether the schema says something about a field of this name.
    #[must_use]
    pub fn names(&self, key: &str) -> bool {
        self.document.get("properties").is_some_and(|properties| properties.get(key).is_some())
    }

    /// Refuses a level of which a field is not acceptable. Other fields may be missing.
    ///
    /// # Errors
    /// [`Invalid`] names the field, such as `settings.replicas`, and never says what its value is.
    pub fn check_level(&self, level: &Settings) -> Result<(), Invalid> {
        let level = level.iter().map(|(key, value)| (key.to_string(), value.clone())).collect::<Map<_, _>>().into();
        first_refusal(&self.fields, &level)
    }

    /// Refuses settings that cannot be deployed.
    ///
    /// # Errors
    /// As for [`check_level`](Self::check_level).
    pub fn check_whole(&self, settings: &EffectiveSettings) -> Result<(), Invalid> {
        first_refusal(&self.whole, &settings.values())
    }
}

fn validator(schema: &Value) -> Result<Validator, Invalid> {
    let options = jsonschema::options().with_pattern_options(PatternOptions::regex().size_limit(MAX_PATTERN).dfa_size_limit(MAX_PATTERN));
    options.build(schema).map_err(|error| Invalid::new("schema", cut(&error.to_string())))
}

/// The first thing that is wrong. Where a secret stands, its value is not known, and so is taken for acceptable.
fn first_refusal(validator: &Validator, settings: &Value) -> Result<(), Invalid> {
    let wrong = validator.iter_errors(settings).find(|error| error.instance().get(SECRET_KEY).is_none());
    wrong.map_or(Ok(()), |error| Err(refused(&error)))
}

/// What is wrong with which field, without its value.
fn refused(error: &ValidationError<'_>) -> Invalid {
    let mut field = "settings".to_owned();
    for segment in error.instance_path().as_str().split('/').skip(1) {
        let name = segment.replace("~1", "/").replace("~0", "~");
        field.push_str(&if name.bytes().all(|b| b.is_ascii_digit()) { format!("[{name}]") } else { format!(".{name}") });
    }
    let (below, reason) = match error.kind() {
        ValidationErrorKind::Required { property } => (property.as_str(), "is missing, and nothing is inherited for it".to_owned()),
        ValidationErrorKind::AdditionalProperties { unexpected } | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            (unexpected.first().map(String::as_str), "is not known to this deployment type".to_owned())
        }
        _ => (None, error.masked_with("the value").to_string()),
    };
    if let Some(below) = below {
        field.push('.');
        field.push_str(below);
    }
    Invalid::new(cut(&field), cut(&reason))
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_TOLD).collect()
}

/// The settings that the platform itself reads, whatever the type.
fn of_every_type() -> Map<String, Value> {
    let seconds = |what: &str| json!({ "description": what, "type": ["integer", "null"], "minimum": 0, "maximum": 36_525_u64 * 24 * 3600 });
    let all = json!({
        "queue_policy": {
            "description": "What becomes of runs that wait while another one is under way; null: each has its turn.",
            "enum": ["serial", "coalesce_latest", null],
        },
        "max_running": {
            "description": "Of a project or group: how many of its runs may be under way at the same time; null: any number. Not inherited.",
            "type": ["integer", "null"], "minimum": 0, "maximum": 1_000_000,
        },
        "run_delete_after_seconds": seconds("How long a run is kept after its end; null: for ever."),
        "run_history_delete_after_seconds": seconds("How long the events and the log of a run are kept after its end; null: as long as the run."),
        "discovery_targets": {
            "description": "Where the deployment can be reached, for discovery: host:port.",
            "type": ["array", "null"], "maxItems": 100, "items": { "type": "string", "pattern": "^[^:/\\s]+:[0-9]+$|^\\[[0-9a-fA-F:.]+\\]:[0-9]+$" },
        },
        "discovery_labels": {
            "description": "Labels of the team's own for discovery.",
            "type": ["object", "null"], "maxProperties": 50, "propertyNames": { "pattern": "^_?[a-zA-Z][a-zA-Z0-9_]*$" },
            "additionalProperties": { "type": "string", "maxLength": 1024 },
        },
        "run_keep_newest": {
            "description": "How many of a deployment's newest runs are kept in any case.",
            "type": "integer", "minimum": 0, "maximum": 10_000,
        },
    });
    match all {
        Value::Object(all) => all,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests;
