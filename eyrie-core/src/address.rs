//! Addresses that somebody gives and that the platform will go to: parsed once, and so strictly that no two programs can read
//! different hosts in them. What is refused is not repeated in the refusal: it may hold a password.

use std::{borrow::Cow, net::Ipv6Addr};

use crate::name::name;

/// The longest address, in bytes.
const MAX_ADDRESS: usize = 2048;

type Checked = Result<(), Cow<'static, str>>;

name! {
    /// Where a git repository is: `https://host/path`, `ssh://user@host/path` or `user@host:path`. Never a local path, another
    /// transport (`file:`, `ext::`, `git:` and `http:` are not safe, or reach what is not the asker's), or one with a password in it.
    GitUrl, "url", git_url
}
name! {
    /// An address to be asked over HTTP: `http://` or `https://`, without user, password or fragment.
    HttpUrl, "url", http_url
}

impl GitUrl {
    /// The host that it names, in lower case.
    #[must_use]
    pub fn host(&self) -> String {
        let text = self.as_str();
        let authority = match text.split_once("://") {
            Some((_, rest)) => rest.split('/').next().unwrap_or_default(),
            None => text.split_once(':').map_or(text, |(authority, _)| authority),
        };
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let without_port = match host.rsplit_once(':') {
            Some((name, port)) if !host.ends_with(']') && port.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => host,
        };
        without_port.to_ascii_lowercase()
    }
}

impl HttpUrl {
    /// Whether what is asked and answered is encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.as_str().starts_with("https://")
    }
}

fn git_url(text: &str) -> Checked {
    bounded(text)?;
    if let Some(rest) = text.strip_prefix("https://") {
        let (authority, path) = split(rest);
        if authority.contains('@') {
            return Err("may not hold a user or password; name a secret as the repository's credentials instead".into());
        }
        host_and_port(authority)?;
        return repository_path(path);
    }
    if let Some(rest) = text.strip_prefix("ssh://") {
        let (authority, path) = split(rest);
        if let Some((user, host)) = authority.rsplit_once('@') {
            user_name(user)?;
            host_and_port(host)?;
        } else {
            host_and_port(authority)?;
        }
        return repository_path(path);
    }
    if !text.contains("://")
        && !text.contains("::")
        && let Some((place, path)) = text.split_once(':')
        && let Some((user, host)) = place.split_once('@')
    {
        user_name(user)?;
        host_name(host)?;
        if path.starts_with('-') {
            return Err("the path may not begin with '-': the other side would take it for an option".into());
        }
        return repository_path(path);
    }
    Err("must be https://host/path, ssh://user@host/path or user@host:path; local paths and other transports are refused, as they reach \
        what belongs to the server itself, run commands, or are not encrypted"
        .into())
}

fn http_url(text: &str) -> Checked {
    bounded(text)?;
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let Some(rest) = rest else { return Err("must begin with https:// or http://".into()) };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if authority.contains('@') {
        return Err("may not hold a user or password".into());
    }
    host_and_port(authority)?;
    if !path.bytes().all(|b| b.is_ascii_graphic() && !b"\"#<>\\^`{|}".contains(&b)) {
        return Err("the path may hold only what RFC 3986 allows there, and no '#'; encode all else as %XX".into());
    }
    Ok(())
}

fn bounded(text: &str) -> Checked {
    if text.is_empty() || text.len() > MAX_ADDRESS {
        return Err(format!("must be 1 to {MAX_ADDRESS} bytes long").into());
    }
    if text.starts_with('-') {
        return Err("may not begin with '-': a command would take it for an option".into());
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("may not hold control characters or spaces".into());
    }
    Ok(())
}

/// The authority, and the path with its slash.
fn split(rest: &str) -> (&str, &str) {
    rest.find('/').map_or((rest, ""), |at| rest.split_at(at))
}

fn user_name(user: &str) -> Checked {
    let is_name = !user.is_empty() && !user.starts_with('-') && user.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if is_name { Ok(()) } else { Err("the user may hold only letters, digits, '-', '_' and '.', and no password".into()) }
}

fn repository_path(path: &str) -> Checked {
    if path.trim_matches('/').is_empty() {
        return Err("must name the repository's path behind the host".into());
    }
    if path.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~/%+@,=".contains(&b)) {
        Ok(())
    } else {
        Err("the path may hold only letters, digits and -._~/%+@,=".into())
    }
}

fn host_and_port(authority: &str) -> Checked {
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => {
            if address.parse::<Ipv6Addr>().is_err() {
                return Err("the address in brackets is no IPv6 address".into());
            }
            (None, rest.strip_prefix(':').or(if rest.is_empty() { None } else { Some("?") }))
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (Some(host), Some(port)),
            None => (Some(authority), None),
        },
    };
    if port.is_some_and(|port| {
        !port.bytes().all(|b| b.is_ascii_digit()) || port.parse::<u16>().is_ok_and(|n| n == 0) || port.parse::<u16>().is_err()
    }) {
        return Err("the port must be a number from 1 to 65535".into());
    }
    host.map_or(Ok(()), host_name)
}

/// Labels of a host name, or an IPv4 address, in ASCII. Each form of an address but the usual one is refused where it is no name
/// either: programs disagree on what it means.
fn host_name(host: &str) -> Checked {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if host.is_empty() || host.len() > 253 || !host.split('.').all(is_label) {
        return Err("the host must be a name of letters, digits, '-' and '.', or an IP address".into());
    }
    let last = host.rsplit('.').next().unwrap_or_default();
    let looks_like_number = last.bytes().all(|b| b.is_ascii_digit()) || last.to_ascii_lowercase().starts_with("0x");
    if looks_like_number && host.parse::<std::net::Ipv4Addr>().is_err() {
        return Err("an IPv4 address must be four decimal numbers, as in 192.0.2.1".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn git_addresses_that_are_safe() {
        for (good, host) in [
            ("https://git.example.org/team/shop.git", "git.example.org"),
            ("https://git.example.org:8443/shop", "git.example.org"),
            ("https://[2001:db8::1]:8443/shop", "[2001:db8::1]"),
            ("https://192.0.2.7/shop", "192.0.2.7"),
            ("ssh://git@Git.example.org:2222/~ann/shop.git", "git.example.org"),
            ("ssh://git.example.org/shop", "git.example.org"),
            ("git@git.example.org:team/shop.git", "git.example.org"),
            ("git@git.example.org:/srv/shop.git", "git.example.org"),
        ] {
            assert_eq!(GitUrl::new(good).unwrap().host(), host, "{good}");
        }
    }

    #[test]
    fn git_addresses_that_are_not() {
        for bad in [
            "",
            "file:///srv/shop.git",
            "/srv/shop.git",
            "../shop",
            "C:\\shop",
            "ext::sh -c touch% /tmp/x",
            "ext::sh",
            "git@host:ext::sh",
            "http://git.example.org/shop",
            "git://git.example.org/shop",
            "HTTPS://git.example.org/shop",
            "https://ann:hunter22@git.example.org/shop",
            "https://token@git.example.org/shop",
            "ssh://git:hunter22@git.example.org/shop",
            "ssh://-oProxyCommand=x/shop",
            "ssh://git@-oProxyCommand=x/shop",
            "-oProxyCommand=x@host:shop",
            "git@-oProxyCommand=x:shop",
            "git@host:-upload-pack",
            "--upload-pack=x",
            "host:shop",
            "https://git.example.org",
            "https://git.example.org/",
            "https:///shop",
            "https://git.example.org:0/shop",
            "https://git.example.org:99999/shop",
            "https://git.example.org:/shop",
            "https://git.example.org\n/shop",
            "https://git.example.org/sh op",
            "https://git.example.org/shop?a=b",
            "https://git.example.org/shop#main",
            "https://git.example.org/$(id)",
            "https://git.exämple.org/shop",
            "https://git..org/shop",
            "https://127.1/shop",
            "https://0x7f000001/shop",
            "https://2130706433/shop",
            "https://[::1/shop",
            "https://[::1]x/shop",
            &format!("https://git.example.org/{}", "a".repeat(MAX_ADDRESS)),
        ] {
            let refused = GitUrl::new(bad).unwrap_err();
            assert_eq!(refused.field(), "url", "{bad:?}");
            assert!(!refused.reason().contains("hunter22"), "{refused}");
        }
    }

    #[test]
    fn http_addresses() {
        for good in
            ["https://shop.example.org", "http://shop.example.org:8080/health?deep=1&x=%20", "https://[2001:db8::1]/", "http://192.0.2.7/a"]
        {
            HttpUrl::new(good).unwrap();
        }
        for bad in [
            "",
            "ftp://shop.example.org/",
            "shop.example.org",
            "https://",
            "https://ann:hunter22@shop.example.org/",
            "https://shop.example.org\\@evil.example.org/",
            "https://shop.example.org/#x",
            "https://shop.example.org/a b",
            "https://shop.example.org/\u{7f}",
            "https://shop.example.org/ä",
            "https://127.1/",
            "https://017700000001/",
            "https://0x7f.1/",
            "javascript:alert(1)",
        ] {
            assert_eq!(HttpUrl::new(bad).unwrap_err().field(), "url", "{bad:?}");
        }
        assert!(HttpUrl::new("https://a.b/").unwrap().is_encrypted() && !HttpUrl::new("http://a.b/").unwrap().is_encrypted());
    }
}
