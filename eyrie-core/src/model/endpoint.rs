//! Where something outside is reached.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::Invalid;

/// The longest address, in bytes.
const MAX_ENDPOINT: usize = 2048;

/// A URL of a server: `https://` or `http://`, a host, perhaps a port and a path. Credentials have no place in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Endpoint(String);

impl Endpoint {
    /// Checks and takes `text`.
    ///
    /// # Errors
    /// [`Invalid`] says what would be accepted, and nothing of the text, which may hold credentials.
    pub fn new(text: impl Into<String>) -> Result<Self, Invalid> {
        let text = text.into();
        let refused = |reason: &str| Err(Invalid::new("endpoint", reason));
        let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else {
            return refused("must begin with https:// or http://");
        };
        if text.len() > MAX_ENDPOINT {
            return refused("must be at most 2048 bytes long");
        }
        if text.contains('@') {
            return refused("may not hold a user or a password; keep them as a secret");
        }
        if text.contains(['?', '#', '\\', '"', '<', '>', '{', '}', '`']) || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return refused("may hold neither a query nor a fragment, nor spaces, control characters, quotes and brackets");
        }
        let authority = rest.split('/').next().unwrap_or_default();
        if !is_authority(authority) {
            return refused(
                "must name a host of letters, digits, '-' and '.' (or an IPv6 address in brackets), and a port of 1 to 65535 if any",
            );
        }
        Ok(Self(text))
    }

    /// The URL as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether that is `host` or `host:port`.
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) if address.parse::<std::net::Ipv6Addr>().is_ok() => match rest.strip_prefix(':') {
            Some(port) => (None, Some(port)),
            None if rest.is_empty() => (None, None),
            None => return false,
        },
        Some(_) => return false,
        None => match text.split_once(':') {
            Some((host, port)) => (Some(host), Some(port)),
            None => (Some(text), None),
        },
    };
    host.is_none_or(is_host) && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|number| number > 0) && !port.starts_with('+'))
}

/// Whether that is a host's name or IPv4 address.
pub(super) fn is_host(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

impl TryFrom<String> for Endpoint {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::new(text)
    }
}

impl std::str::FromStr for Endpoint {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::new(text)
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> Self {
        endpoint.0
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn addresses_without_credentials_are_taken() {
        for good in ["https://k8s.example.org:6443", "http://10.0.0.1/", "https://[fd00::1]:6443/api", "https://s3.example.org/path/to"] {
            assert_eq!(Endpoint::new(good).unwrap().as_str(), good);
        }
        for bad in [
            "k8s.example.org",
            "ftp://x",
            "https://",
            "https://user:hunter2@host",
            "https://hunter2@host",
            "https://host:0",
            "https://host:65536",
            "https://host:+1",
            "https://-host",
            "https://ho st",
            "https://host/?token=hunter2",
            "https://host/#x",
            "https://[nonsense]",
            "https://host\n",
            "https://h\u{f6}st",
        ] {
            let refusal = Endpoint::new(bad).unwrap_err();
            assert!(!refusal.to_string().contains("hunter2"), "{refusal}");
        }
    }
}
