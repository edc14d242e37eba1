//! Names that are parsed once at the edge and trusted from there on.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $field:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks and takes `text`.
            ///
            /// # Errors
            /// [`Invalid`](crate::error::Invalid) names the field and what would be accepted.
            pub fn new(text: impl Into<String>) -> Result<Self, $crate::error::Invalid> {
                let text = text.into();
                let check: fn(&str) -> Result<(), std::borrow::Cow<'static, str>> = $check;
                match check(&text) {
                    Ok(()) => Ok(Self(text)),
                    Err(reason) => Err($crate::error::Invalid::new($field, reason)),
                }
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::error::Invalid;

            fn from_str(text: &str) -> Result<Self, $crate::error::Invalid> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::error::Invalid;

            fn try_from(text: String) -> Result<Self, $crate::error::Invalid> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

pub(crate) use name;

/// The length of a DNS label (RFC 1123): slugs keep to it.
pub const MAX_SLUG: usize = 63;

fn dns_label(text: &str) -> Result<(), Cow<'static, str>> {
    if text.is_empty() || text.len() > MAX_SLUG {
        return Err("must be 1 to 63 characters long".into());
    }
    if !text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        return Err("may hold only a-z, 0-9 and '-' (a DNS label, RFC 1123)".into());
    }
    if text.starts_with('-') || text.ends_with('-') {
        return Err("must begin and end with a letter or digit".into());
    }
    Ok(())
}

fn word(text: &str, max: usize, extra: &str) -> Result<(), Cow<'static, str>> {
    if text.is_empty() || text.len() > max {
        return Err(format!("must be 1 to {max} characters long").into());
    }
    if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err("must begin with a letter or digit".into());
    }
    if !text.chars().all(|c| c.is_ascii_alphanumeric() || extra.contains(c)) {
        return Err(format!("may hold only letters, digits and {extra}").into());
    }
    Ok(())
}

fn line(text: &str, max: usize) -> Result<(), Cow<'static, str>> {
    if text.trim().is_empty() || text.chars().count() > max {
        return Err(format!("must be 1 to {max} characters and not blank").into());
    }
    if text.chars().any(char::is_control) {
        return Err("may not hold control characters".into());
    }
    Ok(())
}

name! {
    /// A DNS-1123 label of at most 63 characters: safe as a host name, a Kubernetes name and in a URL.
    Slug, "slug", dns_label
}
name! {
    /// A name that people read; one line of at most 200 characters.
    DisplayName, "name", |text| line(text, 200)
}
name! {
    /// What kind of deployments a group holds: `service`, `odoo`, `manifests` or the embedder's own word.
    GroupType, "group_type", |text| word(text, 63, "-_")
}
name! {
    /// A service's name: the name of its folder below the services root.
    ServiceName, "service", |text| word(text, 100, "-_.")
}
name! {
    /// An account's name.
    UserName, "user_name", |text| word(text, 100, "-_.@+")
}
name! {
    /// A step's name: one line of at most 200 characters, unique among the planned steps of a plan.
    StepName, "step", |text| line(text, 200)
}
name! {
    /// The stable name under which an action is registered, for instance `service.script`.
    ActionName, "action", |text| word(text, 100, "-_.")
}
name! {
    /// Where a request came from: `cli`, `github`, `frontend` …
    Origin, "origin", |text| word(text, 100, "-_./:")
}
name! {
    /// The id of a request, as whoever stands in front of the library knows it.
    RequestId, "request_id", |text| word(text, 64, "-_.")
}

impl RequestId {
    /// A new one, for a request that came without.
    #[must_use]
    pub fn generate() -> Self {
        Self(uuid::Uuid::now_v7().to_string())
    }
}

name! {
    /// A secret's name, unique among those of its owner.
    SecretName, "name", |text| word(text, 100, "-_.")
}
name! {
    /// The name of a setting.
    SettingKey, "setting", |text| word(text, 63, "-_.")
}

impl StepName {
    /// The name of a step that its plan does not know.
    pub(crate) fn unnamed() -> Self {
        Self("(unnamed)".to_owned())
    }
}

impl Slug {
    /// A slug for any text: lower-cased, everything else turned into `-`, cut to 63 characters. Whenever the text had to be
    /// changed or cut, eight hex digits of its SHA-256 are appended, so that two texts which look alike once cleaned get different slugs.
    #[must_use]
    pub fn derive(text: &str) -> Self {
        if dns_label(text).is_ok() {
            return Self(text.to_owned());
        }
        let mut clean = String::with_capacity(text.len().min(MAX_SLUG));
        for c in text.chars() {
            let c = c.to_ascii_lowercase();
            if c.is_ascii_lowercase() || c.is_ascii_digit() {
                clean.push(c);
            } else if !clean.is_empty() && !clean.ends_with('-') {
                clean.push('-');
            }
            if clean.len() >= MAX_SLUG {
                break;
            }
        }
        Self::with_suffix(&clean, &digest_hex(text, 8))
    }

    /// `{stem}-{suffix}`, the stem cut so that the whole is a DNS label.
    fn with_suffix(stem: &str, suffix: &str) -> Self {
        let room = MAX_SLUG - suffix.len() - 1;
        let stem = stem.get(..room.min(stem.len())).unwrap_or_default().trim_end_matches('-');
        if stem.is_empty() { Self(suffix.to_owned()) } else { Self(format!("{stem}-{suffix}")) }
    }

    /// The name `{self}-{uid}` within 63 characters. A slug that must be cut for it gets a digest of the whole slug before the
    /// uid, so that two slugs which agree in their first characters do not share a name.
    #[must_use]
    pub fn qualified(&self, uid: &str) -> Self {
        if self.0.len() + 1 + uid.len() <= MAX_SLUG {
            return Self(format!("{}-{uid}", self.0));
        }
        Self::with_suffix(&self.0, &format!("{}-{uid}", digest_hex(&self.0, 8)))
    }
}

fn digest_hex(text: &str, digits: usize) -> String {
    let mut hex = data_encoding::HEXLOWER.encode(&Sha256::digest(text.as_bytes()));
    hex.truncate(digits);
    hex
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn slugs_are_dns_labels() {
        for good in ["a", "0", "a-b", &"a".repeat(63)] {
            Slug::new(good).unwrap();
        }
        for bad in ["", "-a", "a-", "A", "a_b", "a.b", "ä", "a\n", "{{", "$(x)", "а" /* Cyrillic */, &"a".repeat(64)] {
            let error = Slug::new(bad).unwrap_err();
            assert_eq!(error.field(), "slug", "{bad:?}");
        }
    }

    #[test]
    fn cleaned_and_cut_slugs_stay_apart() {
        assert_eq!(Slug::derive("blog").as_str(), "blog");
        assert_ne!(Slug::derive("test_dummy"), Slug::derive("test-dummy"));
        assert_ne!(Slug::derive("Blog"), Slug::derive("blog"));
        let (a, b) = (format!("{}1", "x".repeat(80)), format!("{}2", "x".repeat(80)));
        assert_ne!(Slug::derive(&a), Slug::derive(&b));
        let (a, b) = (Slug::new(format!("{}1", "x".repeat(62))).unwrap(), Slug::new(format!("{}2", "x".repeat(62))).unwrap());
        assert_ne!(a.qualified("k3x9w2ab"), b.qualified("k3x9w2ab"));
    }
}
