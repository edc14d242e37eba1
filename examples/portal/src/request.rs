//! What handlers take from a request: ids, filters, versions, keys and bodies, each refused as a problem.

use std::{collections::BTreeMap, str::FromStr};

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Query, RawPathParams, Request},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use eyrie_core::{Invalid, Timestamp, store::PageRequest};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::{doubled::doubled_key, portal::Portal, problem::Problem};

/// The id in the path. What is no id names nothing.
#[derive(Debug)]
pub(crate) struct Id<T>(pub(crate) T);

impl<T: FromStr> FromRequestParts<Portal> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Portal) -> Result<Self, Problem> {
        parameter(parts, state, 0).await.map(Self)
    }
}

/// Two ids in the path.
#[derive(Debug)]
pub(crate) struct TwoIds<A, B>(pub(crate) A, pub(crate) B);

impl<A: FromStr + Send, B: FromStr + Send> FromRequestParts<Portal> for TwoIds<A, B> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Portal) -> Result<Self, Problem> {
        Ok(Self(parameter(parts, state, 0).await?, parameter(parts, state, 1).await?))
    }
}

async fn parameter<T: FromStr>(parts: &mut Parts, state: &Portal, place: usize) -> Result<T, Problem> {
    let known = RawPathParams::from_request_parts(parts, state).await.map_err(|_| Problem::not_found())?;
    known.iter().nth(place).and_then(|(_, text)| text.parse().ok()).ok_or_else(Problem::not_found)
}

/// The query, taken apart key by key; what nobody took is refused.
#[derive(Debug)]
pub(crate) struct Filter(BTreeMap<String, String>);

impl FromRequestParts<Portal> for Filter {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Portal) -> Result<Self, Problem> {
        let Ok(Query(pairs)) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri) else {
            return Err(Problem::malformed("the query cannot be read"));
        };
        let mut known = BTreeMap::new();
        for (key, value) in pairs {
            if known.contains_key(&key) {
                return Err(Problem::invalid(key, "is given twice"));
            }
            known.insert(key, value);
        }
        Ok(Self(known))
    }
}

impl Filter {
    /// Without what a form left empty.
    pub(crate) fn without_blanks(mut self) -> Self {
        self.0.retain(|_, value| !value.trim().is_empty());
        self
    }

    /// What is in it, key by key.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The value of `key`.
    pub(crate) fn take<T: FromStr<Err = Invalid>>(&mut self, key: &str) -> Result<Option<T>, Problem> {
        match self.0.remove(key) {
            None => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|invalid: Invalid| Problem::invalid(key, invalid.reason())),
        }
    }

    pub(crate) fn take_text(&mut self, key: &str) -> Option<String> {
        self.0.remove(key)
    }

    pub(crate) fn take_number(&mut self, key: &str) -> Result<Option<u64>, Problem> {
        match self.0.remove(key) {
            None => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| Problem::invalid(key, "must be a whole number")),
        }
    }

    pub(crate) fn take_time(&mut self, key: &str) -> Result<Option<Timestamp>, Problem> {
        match self.0.remove(key) {
            None => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| Problem::invalid(key, "must be a time as in 2027-01-31T12:00:00Z (RFC 3339)")),
        }
    }

    /// The page asked for.
    pub(crate) fn page(&mut self) -> Result<PageRequest, Problem> {
        let page = match self.take_number("limit")? {
            Some(limit) => PageRequest::first(u32::try_from(limit).unwrap_or(u32::MAX))?,
            None => PageRequest::default(),
        };
        let after = match self.0.remove("after") {
            Some(text) => Some(Uuid::try_parse(&text).map_err(|_| Problem::invalid("after", "must be the `next` of a page"))?),
            None => None,
        };
        Ok(page.after(after))
    }

    /// Refuses what is left over.
    pub(crate) fn end(self) -> Result<(), Problem> {
        match self.0.into_keys().next() {
            Some(key) => Err(Problem::invalid(key, "is not known here")),
            None => Ok(()),
        }
    }
}

/// The version that the asker has read, from `If-Match`.
#[derive(Debug)]
pub(crate) struct IfMatch(u64);

impl FromRequestParts<Portal> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Portal) -> Result<Self, Problem> {
        let value = single(&parts.headers, "if-match")?.ok_or_else(Problem::version_missing)?;
        let version = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).and_then(|inner| inner.parse().ok());
        // Another form of tag is no version that this program ever gave.
        version.map(Self).ok_or_else(Problem::version_differs)
    }
}

impl IfMatch {
    /// The version, if it is the one that is there now.
    pub(crate) fn check(&self, current: u64) -> Result<u64, Problem> {
        if self.0 == current { Ok(self.0) } else { Err(Problem::version_differs()) }
    }
}

/// The asker's key against doing something twice.
#[derive(Debug)]
pub(crate) struct IdempotencyKey(pub(crate) Option<String>);

impl FromRequestParts<Portal> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Portal) -> Result<Self, Problem> {
        Ok(Self(single(&parts.headers, "idempotency-key")?.map(str::to_owned)))
    }
}

/// The header's value; none when it is missing.
pub(crate) fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| Problem::malformed(format!("the header {name} cannot be read"))),
        (Some(_), Some(_)) => Err(Problem::malformed(format!("the header {name} is given twice"))),
    }
}

/// A JSON body. What cannot be read as JSON is 400, what can but does not fit is 422 with the field.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Portal> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &Portal) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
            let detail = "send the body as application/json";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "Unsupported media type", detail));
        }
        let bytes = body(request, state).await?;
        if let Some(path) = doubled_key(&bytes) {
            return Err(Problem::invalid(path, "is given twice"));
        }
        let mut reader = serde_json::Deserializer::from_slice(&bytes);
        let read = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let field = error.path().to_string();
            let inner = error.into_inner();
            if !inner.is_data() {
                return Problem::malformed(format!("the body is not JSON: {inner}"));
            }
            let told = inner.to_string();
            let told = told.rsplit_once(" at line ").map_or(told.as_str(), |(told, _)| told).to_owned();
            // A missing field is told of the object around it; its name stands in the text.
            let named = told
                .strip_prefix("missing field `")
                .or_else(|| told.strip_prefix("unknown field `"))
                .and_then(|rest| rest.split('`').next());
            let field = match named {
                Some(name) if field == "." => name.to_owned(),
                Some(name) if field != name && !field.ends_with(&format!(".{name}")) => format!("{field}.{name}"),
                _ => field,
            };
            let last = field.rsplit('.').next().unwrap_or_default();
            let told = told.strip_prefix(&format!("{last}: ")).unwrap_or(&told).to_owned();
            Problem::invalid(field, told)
        })?;
        reader.end().map_err(|error| Problem::malformed(format!("the body is not JSON: {error}")))?;
        Ok(Self(read))
    }
}

/// The whole body, within the limit.
pub(crate) async fn body(request: Request, state: &Portal) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|refused| {
        if refused.status() == StatusCode::PAYLOAD_TOO_LARGE { Problem::too_large() } else { Problem::malformed("the body cannot be read") }
    })
}
