//! Names of container images, by the grammar of the OCI distribution specification.

use std::{borrow::Cow, net::Ipv6Addr};

use crate::name::name;

/// The longest name of an image without its tag, in bytes.
const MAX_NAME: usize = 255;
/// The longest tag.
const MAX_TAG: usize = 128;

type Checked = Result<(), Cow<'static, str>>;

name! {
    /// A container image by registry, repository and tag: `registry.example.org/team/shop:main`. The digest stands beside it, as it
    /// is what the tag means at a time.
    ImageReference, "reference", reference
}
name! {
    /// The digest of an image's manifest: `sha256:` and 64 hex digits, or `sha512:` and 128.
    ImageDigest, "digest", digest
}

impl ImageReference {
    /// The registry's host, with its port if it has one; none: the default of whatever pulls the image.
    #[must_use]
    pub fn registry(&self) -> Option<&str> {
        parts(self.as_str()).0
    }

    /// The tag.
    #[must_use]
    pub fn tag(&self) -> &str {
        self.as_str().rsplit_once(':').map_or("", |(_, tag)| tag)
    }
}

/// The registry, if one is named, and the rest. As everywhere, the first part is a registry if it could be no part of a path.
fn parts(name: &str) -> (Option<&str>, &str) {
    match name.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':', '[']) || first == "localhost" || first.bytes().any(|b| b.is_ascii_uppercase()) => {
            (Some(first), rest)
        }
        _ => (None, name),
    }
}

fn reference(text: &str) -> Checked {
    if text.contains('@') {
        return Err("may not hold a digest; what the tag means is recorded beside it".into());
    }
    let (registry, rest) = parts(text);
    let Some((path, tag)) = rest.split_once(':') else {
        return Err("must name a tag, as in registry.example.org/team/shop:main".into());
    };
    if text.len() - tag.len() - 1 > MAX_NAME {
        return Err(format!("may be at most {MAX_NAME} bytes long without the tag").into());
    }
    if let Some(registry) = registry {
        registry_host(registry)?;
    }
    if path.is_empty() || !path.split('/').all(is_component) {
        return Err("each part of the path must be lower-case letters and digits, joined by '.', '_', '__' or dashes".into());
    }
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let is_tag = (1..=MAX_TAG).contains(&tag.len())
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|b| is_word(b) || b == b'.' || b == b'-');
    if is_tag { Ok(()) } else { Err(format!("the tag must be 1 to {MAX_TAG} of letters, digits, '_', '.' and '-'").into()) }
}

fn registry_host(registry: &str) -> Checked {
    let refused = || Err("the registry must be a host name or address, with a port if need be".into());
    let (is_host, port) = match registry.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => {
            (address.parse::<Ipv6Addr>().is_ok() && (rest.is_empty() || rest.starts_with(':')), rest.strip_prefix(':'))
        }
        None => {
            let (host, port) = registry.split_once(':').map_or((registry, None), |(host, port)| (host, Some(port)));
            let is_label = |label: &str| {
                !label.is_empty()
                    && !label.starts_with('-')
                    && !label.ends_with('-')
                    && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            };
            (host.split('.').all(is_label), port)
        }
    };
    let is_port = port.is_none_or(|port| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0));
    if is_host && is_port { Ok(()) } else { refused() }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(text: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends_well = bytes.first().copied().is_some_and(is_word) && bytes.last().copied().is_some_and(is_word);
    let mut separators = bytes.split(|b| is_word(*b)).filter(|separator| !separator.is_empty());
    ends_well && separators.all(|separator| matches!(separator, b"." | b"_" | b"__") || separator.iter().all(|b| *b == b'-'))
}

fn digest(text: &str) -> Checked {
    let is_hex = |hex: &str, digits| hex.len() == digits && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let is_digest = match text.split_once(':') {
        Some(("sha256", hex)) => is_hex(hex, 64),
        Some(("sha512", hex)) => is_hex(hex, 128),
        _ => false,
    };
    if is_digest { Ok(()) } else { Err("must be sha256: and 64 digits of 0-9 and a-f, or sha512: and 128".into()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn references() {
        for (good, registry, tag) in [
            ("nginx:1.27", None, "1.27"),
            ("team/shop:main", None, "main"),
            ("registry.example.org/team/shop:v1.2-rc.1", Some("registry.example.org"), "v1.2-rc.1"),
            ("localhost/shop:_x", Some("localhost"), "_x"),
            ("localhost:5000/shop:X", Some("localhost:5000"), "X"),
            ("192.0.2.7:5000/a/b__c/d---e/f.g_h:1", Some("192.0.2.7:5000"), "1"),
            ("[2001:db8::1]:5000/shop:1", Some("[2001:db8::1]:5000"), "1"),
            ("Registry/shop:1", Some("Registry"), "1"),
        ] {
            let reference = ImageReference::new(good).unwrap();
            assert_eq!((reference.registry(), reference.tag()), (registry, tag), "{good}");
        }
        for bad in [
            "",
            "shop",
            ":1",
            "shop:",
            "shop:.1",
            "shop:a b",
            "shop:1\n",
            "shop:1:2",
            "Shop:1",
            "team/Shop:1",
            "team//shop:1",
            "/shop:1",
            "shop/:1",
            "-shop:1",
            "shop-:1",
            "a___b:1",
            "a..b:1",
            "a._b:1",
            "https://registry.example.org/shop:1",
            "registry.example.org:x/shop:1",
            "registry.example.org:0/shop:1",
            "-registry.example.org/shop:1",
            "[::1/shop:1",
            "shöp:1",
            "shop@sha256:aa",
            &format!("shop:1@sha256:{}", "a".repeat(64)),
            &format!("{}:1", "a".repeat(MAX_NAME + 1)),
            &format!("shop:{}", "a".repeat(MAX_TAG + 1)),
        ] {
            assert_eq!(ImageReference::new(bad).unwrap_err().field(), "reference", "{bad:?}");
        }
    }

    #[test]
    fn digests() {
        for good in [format!("sha256:{}", "0a".repeat(32)), format!("sha512:{}", "0a".repeat(64))] {
            ImageDigest::new(good).unwrap();
        }
        for bad in ["", "sha256:", "sha256:abc", &"a".repeat(64), &format!("sha256:{}", "A".repeat(64)), &format!("md5:{}", "a".repeat(32))]
        {
            assert_eq!(ImageDigest::new(bad).unwrap_err().field(), "digest", "{bad:?}");
        }
    }
}
