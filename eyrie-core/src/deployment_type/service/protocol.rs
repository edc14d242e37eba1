//! The line protocol: a line that is a JSON object with a `name` reports a step; every other line is log.

use serde_json::Value;

use crate::{
    model::{MAX_STEP_MESSAGE, ReportedState},
    name::StepName,
};

/// What one line of a script's standard output means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A step is reported.
    Step {
        /// Its name, cut to what a step's name may be.
        name: StepName,
        /// Its state.
        state: ReportedState,
        /// The message; a non-empty `error_message` goes before `message`.
        message: String,
    },
    /// It is log.
    Log,
}

/// Reads one line. Never fails: what is no report is log.
#[must_use]
pub fn parse_line(line: &str) -> Line {
    let line = line.trim();
    if !line.starts_with('{') {
        return Line::Log;
    }
    let Ok(Value::Object(fields)) = serde_json::from_str(line) else {
        return Line::Log;
    };
    let Some(name) = fields.get("name").and_then(Value::as_str).and_then(step_name) else {
        return Line::Log;
    };
    let text = |key| fields.get(key).and_then(Value::as_str).unwrap_or_default();
    let error = text("error_message");
    let message = if error.is_empty() { text("message") } else { error };
    let state = match fields.get("state") {
        Some(Value::String(word)) => match word.parse() {
            Ok(state) => state,
            Err(_) => return Line::Log,
        },
        // The older server's default, except that an error is one.
        None | Some(Value::Null) if error.is_empty() => ReportedState::Pending,
        None | Some(Value::Null) => ReportedState::Failure,
        Some(_) => return Line::Log,
    };
    Line::Step { name, state, message: message.to_owned() }
}

/// Whether a message is longer than a step keeps; the whole of it then belongs into the log as well.
pub(super) fn is_cut(message: &str) -> bool {
    message.len() > MAX_STEP_MESSAGE && message.chars().count() > MAX_STEP_MESSAGE
}

/// A step's name out of what a script wrote: control characters become spaces, and it is cut to 200 characters.
fn step_name(text: &str) -> Option<StepName> {
    let clean: String = text.chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect();
    StepName::new(clean.trim()).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn step(line: &str) -> (String, ReportedState, String) {
        match parse_line(line) {
            Line::Step { name, state, message } => (name.to_string(), state, message),
            Line::Log => panic!("{line} is no report"),
        }
    }

    #[test]
    fn reports_are_told_from_log() {
        assert_eq!(step(r#"{"name":"a","state":"success","message":"m"}"#), ("a".to_owned(), ReportedState::Success, "m".to_owned()));
        assert_eq!(step(r#"{"name":"a","state":"failure","message":"m","error_message":"e"}"#).2, "e");
        assert_eq!(step(r#"{"name":"a","state":"success","message":"m","error_message":""}"#).2, "m");
        assert_eq!(step(r#"{"name":"a\nb"}"#), ("a b".to_owned(), ReportedState::Pending, String::new()));
        assert_eq!(step(r#"{"name":"a","error_message":"e"}"#).1, ReportedState::Failure);
        for log in
            ["", "hello", "{", r#"{"state":"success"}"#, r#"{"name":7}"#, r#"{"name":"a","state":"odd"}"#, r#"["name"]"#, r#"{"name":" "}"#]
        {
            assert_eq!(parse_line(log), Line::Log, "{log}");
        }
    }
}
