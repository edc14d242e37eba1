//! How values stand in columns.

use std::str::FromStr;

use eyrie_core::{Invalid, Timestamp, clock::from_micros, model::StepIndex};
use sea_orm::prelude::Uuid;
use serde::{Serialize, de::DeserializeOwned};

use crate::error::Failure;

/// A time, as microseconds since 1970.
pub(crate) fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// A time that may be missing.
pub(crate) fn maybe_micros(at: Option<Timestamp>) -> Option<i64> {
    at.map(micros)
}

/// The time in a column.
pub(crate) fn time(column: i64) -> Timestamp {
    from_micros(column)
}

/// The time in a column that may be null.
pub(crate) fn maybe_time(column: Option<i64>) -> Option<Timestamp> {
    column.map(time)
}

/// A count; what does not fit is cut, far beyond anything that is counted.
pub(crate) fn count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The count in a column.
pub(crate) fn counted(column: i64) -> Result<u64, Failure> {
    u64::try_from(column).map_err(|error| Failure::Stored(error.into()))
}

/// The small count in a column.
pub(crate) fn counted_small(column: i64) -> Result<u32, Failure> {
    u32::try_from(column).map_err(|error| Failure::Stored(error.into()))
}

/// A step's place in a column.
pub(crate) fn step_index(column: i64) -> Result<StepIndex, Failure> {
    counted_small(column).map(StepIndex::new)
}

/// A name or state, read back from its word.
pub(crate) fn word<T: FromStr<Err = Invalid>>(column: &str) -> Result<T, Failure> {
    Ok(column.parse()?)
}

/// A value as JSON. All that is kept this way has text keys only and so can always be written.
pub(crate) fn json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// A value, read back from JSON.
pub(crate) fn parsed<T: DeserializeOwned>(column: &str) -> Result<T, Failure> {
    Ok(serde_json::from_str(column)?)
}

/// A value that may be null, read back from JSON.
pub(crate) fn maybe_parsed<T: DeserializeOwned>(column: Option<&str>) -> Result<Option<T>, Failure> {
    column.map(parsed).transpose()
}

/// 32 bytes of a hash.
pub(crate) fn hash(column: Vec<u8>) -> Result<[u8; 32], Failure> {
    column.try_into().map_err(|bytes: Vec<u8>| Failure::Stored(format!("a hash of {} bytes", bytes.len()).into()))
}

/// An id that may be null.
pub(crate) fn maybe<T>(column: Option<Uuid>, id: impl Fn(Uuid) -> T) -> Option<T> {
    column.map(id)
}
