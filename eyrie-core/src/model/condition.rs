//! Conditions of steps on what earlier steps did: a small expression, as data.
//!
//! ```
//! use eyrie_core::model::{Condition, Done, Plan};
//! use serde_json::json;
//!
//! let is_broken = Condition::output("test").at("/errors").greater_than(0);
//! let plan = Plan::builder()
//!     .step("test", "shell", |step| step)
//!     .step("report", "shell", |step| step.needs(["test"]).when(is_broken.clone()))
//!     .step("ship", "shell", |step| step.needs(["report"]).when(!is_broken.clone()))
//!     .build()?;
//!
//! let output = json!({ "errors": 2 });
//! let holds = is_broken.holds(&|step| (step == "test").then_some(Done::Succeeded(Some(&output))));
//! assert!(holds && plan.steps()[2].when.is_some());
//! # Ok::<(), eyrie_core::Error>(())
//! ```
//!
//! A condition is looked at once, when everything that its step needs is done. It always has an answer: what is not there, or is
//! of another type than the test asks for, makes the test false. It speaks of steps that its step needs, directly or through
//! others; their outputs do not change any more, and so neither does the answer.

use std::{cmp::Ordering, fmt, ops::Not};

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use crate::{
    error::Invalid,
    model::json_bound::{is_deeper, json_len},
};

/// How deep a condition may be nested, the values in it included.
pub const MAX_CONDITION_DEPTH: usize = 16;
/// The most parts of one condition: its tests, and what joins them.
pub const MAX_CONDITION_PARTS: usize = 100;
/// The largest condition, as JSON, in bytes.
pub const MAX_CONDITION_BYTES: usize = 16 * 1024;

/// Whether a step is to be executed, as a question about steps that it needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Condition {
    /// All of these hold; at least one is there.
    All(Vec<Self>),
    /// One of these holds, or more.
    Any(Vec<Self>),
    /// This does not hold.
    Not(Box<Self>),
    /// The step of that name succeeded.
    Succeeded(String),
    /// The step of that name was skipped by a condition of its own.
    Skipped(String),
    /// The output of a step passes a test.
    Output(OutputTest),
}

/// A test of what a step produced, or of a value in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputTest {
    /// The step's name.
    pub step: String,
    /// Where in its output: a JSON pointer ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)). Empty: the output as a whole.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub at: String,
    /// What the value there must be.
    pub is: ValueTest,
}

/// What a value must be. Numbers are compared by what they are worth: 1 equals 1.0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ValueTest {
    /// It is there; null is there, too.
    Exists,
    /// It equals this.
    Equals(Value),
    /// It equals one of these; at least one is there.
    OneOf(Vec<Value>),
    /// It is a number, and less than this one.
    LessThan(Value),
    /// It is a number, and greater than this one.
    GreaterThan(Value),
}

/// A step with which a run is done, as a condition sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Done<'a> {
    /// It succeeded, with this output if it made one.
    Succeeded(Option<&'a Value>),
    /// It was skipped by its condition.
    Skipped,
}

/// The beginning of a test of a step's output; see [`Condition::output`].
#[derive(Debug, Clone)]
#[must_use]
pub struct OutputOf {
    step: String,
    at: String,
}

impl OutputOf {
    /// The value at this JSON pointer in the output, instead of the output as a whole.
    pub fn at(self, pointer: impl Into<String>) -> Self {
        Self { at: pointer.into(), ..self }
    }

    /// It is there; null is there, too.
    #[must_use]
    pub fn exists(self) -> Condition {
        self.is(ValueTest::Exists)
    }

    /// It equals this.
    #[must_use]
    pub fn equals(self, value: impl Into<Value>) -> Condition {
        self.is(ValueTest::Equals(value.into()))
    }

    /// It equals one of these.
    #[must_use]
    pub fn one_of<V: Into<Value>>(self, values: impl IntoIterator<Item = V>) -> Condition {
        self.is(ValueTest::OneOf(values.into_iter().map(Into::into).collect()))
    }

    /// It is a number, and less than this one.
    #[must_use]
    pub fn less_than(self, number: impl Into<Value>) -> Condition {
        self.is(ValueTest::LessThan(number.into()))
    }

    /// It is a number, and greater than this one.
    #[must_use]
    pub fn greater_than(self, number: impl Into<Value>) -> Condition {
        self.is(ValueTest::GreaterThan(number.into()))
    }

    fn is(self, is: ValueTest) -> Condition {
        let Self { step, at } = self;
        Condition::Output(OutputTest { step, at, is })
    }
}

impl Condition {
    /// All of these hold.
    #[must_use]
    pub fn all(conditions: impl IntoIterator<Item = Self>) -> Self {
        Self::All(conditions.into_iter().collect())
    }

    /// One of these holds, or more.
    #[must_use]
    pub fn any(conditions: impl IntoIterator<Item = Self>) -> Self {
        Self::Any(conditions.into_iter().collect())
    }

    /// The step of that name succeeded.
    #[must_use]
    pub fn succeeded(step: impl Into<String>) -> Self {
        Self::Succeeded(step.into())
    }

    /// The step of that name was skipped by a condition of its own.
    #[must_use]
    pub fn skipped(step: impl Into<String>) -> Self {
        Self::Skipped(step.into())
    }

    /// The output of the step of that name: what it must be is said next.
    pub fn output(step: impl Into<String>) -> OutputOf {
        OutputOf { step: step.into(), at: String::new() }
    }

    /// Whether it holds, with what is known of the steps that it speaks of. One of which nothing is known did neither succeed, nor
    /// was it skipped.
    #[must_use]
    pub fn holds<'a>(&self, done: &impl Fn(&str) -> Option<Done<'a>>) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(done)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(done)),
            Self::Not(part) => !part.holds(done),
            Self::Succeeded(step) => matches!(done(step), Some(Done::Succeeded(_))),
            Self::Skipped(step) => matches!(done(step), Some(Done::Skipped)),
            Self::Output(test) => match done(&test.step) {
                Some(Done::Succeeded(Some(output))) => output.pointer(&test.at).is_some_and(|value| test.is.passes(value)),
                _ => false,
            },
        }
    }

    /// Whether it keeps its bounds, and is whole. Adds the names of the steps that it speaks of to `named`, each with the field that
    /// names it.
    pub(super) fn check<'a>(&'a self, field: String, named: &mut Vec<(String, &'a str)>) -> Result<(), Invalid> {
        let mut parts = 0;
        self.check_part(field.clone(), 1, &mut parts, named)?;
        match json_len(self) {
            len if len > MAX_CONDITION_BYTES => {
                Err(Invalid::new(field, format!("is {len} bytes as JSON; at most {MAX_CONDITION_BYTES} are accepted")))
            }
            _ => Ok(()),
        }
    }

    fn check_part<'a>(&'a self, field: String, depth: usize, parts: &mut usize, named: &mut Vec<(String, &'a str)>) -> Result<(), Invalid> {
        *parts += 1;
        if *parts > MAX_CONDITION_PARTS {
            return Err(Invalid::new(field, format!("is one part too many; a condition has at most {MAX_CONDITION_PARTS}")));
        }
        if depth > MAX_CONDITION_DEPTH {
            return Err(too_deep(field));
        }
        match self {
            Self::All(list) => check_list(&field, "all", list, depth, parts, named),
            Self::Any(list) => check_list(&field, "any", list, depth, parts, named),
            Self::Not(part) => part.check_part(format!("{field}.not"), depth + 1, parts, named),
            Self::Succeeded(step) => {
                named.push((format!("{field}.succeeded"), step));
                Ok(())
            }
            Self::Skipped(step) => {
                named.push((format!("{field}.skipped"), step));
                Ok(())
            }
            Self::Output(test) => {
                let field = format!("{field}.output");
                named.push((format!("{field}.step"), &test.step));
                if !is_pointer(&test.at) {
                    return Err(Invalid::new(
                        format!("{field}.at"),
                        "must be a JSON pointer: empty, or made of parts that each begin with /, with ~ and / in them written as ~0 and ~1",
                    ));
                }
                test.is.check(&format!("{field}.is"), depth + 1)
            }
        }
    }

    fn fmt_joined(f: &mut fmt::Formatter<'_>, list: &[Self], word: &str) -> fmt::Result {
        f.write_str("(")?;
        for (place, part) in list.iter().enumerate() {
            if place > 0 {
                write!(f, " {word} ")?;
            }
            write!(f, "{part}")?;
        }
        f.write_str(")")
    }
}

fn check_list<'a>(
    field: &str,
    word: &str,
    list: &'a [Condition],
    depth: usize,
    parts: &mut usize,
    named: &mut Vec<(String, &'a str)>,
) -> Result<(), Invalid> {
    if list.is_empty() {
        return Err(Invalid::new(format!("{field}.{word}"), "must not be empty"));
    }
    list.iter().enumerate().try_for_each(|(place, part)| part.check_part(format!("{field}.{word}[{place}]"), depth + 1, parts, named))
}

fn too_deep(field: String) -> Invalid {
    Invalid::new(field, format!("is nested too deep; a condition is at most {MAX_CONDITION_DEPTH} deep, the values in it included"))
}

/// What RFC 6901 calls a JSON pointer.
fn is_pointer(text: &str) -> bool {
    let escapes_end = |part: &str| part.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    text.is_empty() || (text.starts_with('/') && escapes_end(text))
}

/// `!condition`: it does not hold.
impl Not for Condition {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::Not(part) => *part,
            part => Self::Not(Box::new(part)),
        }
    }
}

impl ValueTest {
    fn passes(&self, value: &Value) -> bool {
        match self {
            Self::Exists => true,
            Self::Equals(wanted) => is_same(wanted, value),
            Self::OneOf(wanted) => wanted.iter().any(|wanted| is_same(wanted, value)),
            Self::LessThan(bound) => compare(value, bound) == Some(Ordering::Less),
            Self::GreaterThan(bound) => compare(value, bound) == Some(Ordering::Greater),
        }
    }

    fn check(&self, field: &str, depth: usize) -> Result<(), Invalid> {
        let (field, values) = match self {
            Self::Exists => return Ok(()),
            Self::Equals(value) => (format!("{field}.equals"), std::slice::from_ref(value)),
            Self::OneOf(values) => (format!("{field}.one_of"), values.as_slice()),
            Self::LessThan(value) => (format!("{field}.less_than"), std::slice::from_ref(value)),
            Self::GreaterThan(value) => (format!("{field}.greater_than"), std::slice::from_ref(value)),
        };
        if values.is_empty() {
            return Err(Invalid::new(field, "must not be empty"));
        }
        if matches!(self, Self::LessThan(value) | Self::GreaterThan(value) if !value.is_number()) {
            return Err(Invalid::new(field, "must be a number"));
        }
        if values.iter().any(|value| is_deeper(value, MAX_CONDITION_DEPTH.saturating_sub(depth))) {
            return Err(too_deep(field));
        }
        Ok(())
    }
}

/// Equality of values, with numbers compared by what they are worth. No deeper than `wanted` is.
fn is_same(wanted: &Value, value: &Value) -> bool {
    match (wanted, value) {
        (Value::Number(_), Value::Number(_)) => compare(wanted, value) == Some(Ordering::Equal),
        (Value::Array(wanted), Value::Array(values)) => {
            wanted.len() == values.len() && wanted.iter().zip(values).all(|(wanted, value)| is_same(wanted, value))
        }
        (Value::Object(wanted), Value::Object(values)) => {
            let is_in = |(key, wanted): (&String, &Value)| values.get(key).is_some_and(|value| is_same(wanted, value));
            wanted.len() == values.len() && wanted.iter().all(is_in)
        }
        _ => wanted == value,
    }
}

/// None unless both are numbers. Whole numbers are compared as such, others as floating-point numbers.
fn compare(one: &Value, other: &Value) -> Option<Ordering> {
    let (Value::Number(one), Value::Number(other)) = (one, other) else { return None };
    let whole = |number: &Number| number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    match (whole(one), whole(other)) {
        (Some(one), Some(other)) => Some(one.cmp(&other)),
        _ => one.as_f64()?.partial_cmp(&other.as_f64()?),
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(list) => Self::fmt_joined(f, list, "and"),
            Self::Any(list) => Self::fmt_joined(f, list, "or"),
            Self::Not(part) => write!(f, "not {part}"),
            Self::Succeeded(step) => write!(f, "{step:?} succeeded"),
            Self::Skipped(step) => write!(f, "{step:?} was skipped"),
            Self::Output(OutputTest { step, at, is }) => {
                write!(f, "the output of {step:?} ")?;
                if !at.is_empty() {
                    write!(f, "at {at:?} ")?;
                }
                write!(f, "{is}")
            }
        }
    }
}

impl fmt::Display for ValueTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists => f.write_str("exists"),
            Self::Equals(value) => write!(f, "is {value}"),
            Self::OneOf(values) => write!(f, "is one of {}", Value::from(values.as_slice())),
            Self::LessThan(value) => write!(f, "is less than {value}"),
            Self::GreaterThan(value) => write!(f, "is greater than {value}"),
        }
    }
}

#[cfg(test)]
mod tests;
