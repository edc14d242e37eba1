//! Where what is deployed can be reached, as its settings say: for proxies and scrapers.

use std::{collections::BTreeMap, net::IpAddr};

use serde::Serialize;
use serde_json::Value;

use crate::{error::Invalid, model::EffectiveSettings};

/// The setting that lists the addresses: `host:port`, at most a hundred.
pub const DISCOVERY_TARGETS: &str = "discovery_targets";
/// The setting with labels to go with them: names to texts, at most fifty.
pub const DISCOVERY_LABELS: &str = "discovery_labels";

const MAX_TARGETS: usize = 100;
const MAX_LABELS: usize = 50;
const MAX_LABEL: usize = 1024;

/// Where a deployment can be reached, and under which labels; inherited as all settings are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Reachable {
    /// Addresses, `host:port`.
    pub targets: Vec<String>,
    /// Labels of the team's own.
    pub labels: BTreeMap<String, String>,
}

impl Reachable {
    /// What the settings say; what is not acceptable, or null, counts as not said.
    #[must_use]
    pub fn of(settings: &EffectiveSettings) -> Self {
        let said = |key| settings.get(key).filter(|value| check(key, value).is_ok());
        let targets = said(DISCOVERY_TARGETS).and_then(Value::as_array).map(|list| list.iter().filter_map(text).collect());
        let labels = said(DISCOVERY_LABELS).and_then(Value::as_object);
        let labels = labels.map(|fields| fields.iter().filter_map(|(name, value)| Some((name.clone(), text(value)?))).collect());
        Self { targets: targets.unwrap_or_default(), labels: labels.unwrap_or_default() }
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// Refuses a value that a setting about discovery cannot have. Settings of other names are not looked at.
pub(super) fn check(key: &str, value: &Value) -> Result<(), Invalid> {
    let refused = |what: String, reason: &str| Err(Invalid::new(format!("settings.{key}{what}"), reason.to_owned()));
    match (key, value) {
        (DISCOVERY_TARGETS | DISCOVERY_LABELS, Value::Null) => Ok(()),
        (DISCOVERY_TARGETS, Value::Array(targets)) if targets.len() <= MAX_TARGETS => {
            match targets.iter().position(|target| !target.as_str().is_some_and(is_address)) {
                Some(place) => refused(format!("[{place}]"), "must be host:port, with a host name or address, and a port from 1 to 65535"),
                None => Ok(()),
            }
        }
        (DISCOVERY_TARGETS, _) => refused(String::new(), "must be a list of at most 100 texts host:port, or null"),
        (DISCOVERY_LABELS, Value::Object(labels)) if labels.len() <= MAX_LABELS => {
            for (name, value) in labels {
                let what = || format!(".{}", name.chars().filter(|c| !c.is_control()).take(100).collect::<String>());
                if !is_label(name) {
                    return refused(
                        what(),
                        "must be named with letters, digits and underscores, and begin with a letter or one underscore",
                    );
                }
                if !value.as_str().is_some_and(|text| text.len() <= MAX_LABEL && !text.chars().any(char::is_control)) {
                    return refused(what(), "must be a text of at most 1024 bytes without control characters");
                }
            }
            Ok(())
        }
        (DISCOVERY_LABELS, _) => refused(String::new(), "must be an object of at most 50 labels, or null"),
        _ => Ok(()),
    }
}

/// `host:port`, the host a name, an IPv4 address or an IPv6 address in brackets.
fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let port_fits = port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
    let host_fits = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<IpAddr>().is_ok_and(|address| address.is_ipv6()),
        None => is_host(host),
    };
    port_fits && host_fits
}

/// A DNS name (RFC 1123, and underscores, which names of services have), or an IPv4 address, which looks like one.
fn is_host(host: &str) -> bool {
    let fits = |label: &str| {
        let inner = label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        (1..=63).contains(&label.len()) && inner && !label.starts_with('-') && !label.ends_with('-')
    };
    host.len() <= 253 && host.strip_suffix('.').unwrap_or(host).split('.').all(fits)
}

/// A name that Prometheus takes for a label. Those that begin with two underscores are not the user's.
fn is_label(name: &str) -> bool {
    let begins = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    begins && name.len() <= 100 && !name.starts_with("__") && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;
    use crate::model::{Level, Settings};

    #[test]
    fn addresses_and_labels_are_looked_at_where_they_are_set() {
        for good in ["web:80", "10.0.0.1:9100", "[2001:db8::1]:443", "a_b.example.com.:65535"] {
            Settings::default().with(DISCOVERY_TARGETS, json!([good])).unwrap();
        }
        for bad in [
            "web",
            "web:0",
            "web:65536",
            "web:+1",
            ":80",
            "http://web:80",
            "2001:db8::1:443",
            "[10.0.0.1]:1",
            "a b:1",
            "web\n:80",
            "-a:1",
            "a..b:1",
        ] {
            let refused = Settings::default().with(DISCOVERY_TARGETS, json!(["ok:1", bad])).unwrap_err();
            assert_eq!(refused.field(), "settings.discovery_targets[1]", "{bad}");
        }
        for (bad, field) in [
            (json!({ "__address__": "x" }), "settings.discovery_labels.__address__"),
            (json!({ "a-b": "x" }), "settings.discovery_labels.a-b"),
            (json!({ "a": "x\ny" }), "settings.discovery_labels.a"),
            (json!({ "a": 1 }), "settings.discovery_labels.a"),
            (json!([]), "settings.discovery_labels"),
        ] {
            assert_eq!(Settings::default().with(DISCOVERY_LABELS, bad).unwrap_err().field(), field);
        }
        assert!(Settings::default().with(DISCOVERY_TARGETS, json!(vec!["a:1"; 101])).is_err());
    }

    #[test]
    fn they_are_inherited() {
        let group = Settings::default().with(DISCOVERY_LABELS, json!({ "team": "a" })).unwrap();
        let own = Settings::default().with(DISCOVERY_TARGETS, json!(["web:80"])).unwrap();
        let found = Reachable::of(&EffectiveSettings::resolve([(Level::Deployment, &own), (Level::Group, &group)]));
        assert_eq!(serde_json::to_value(found).unwrap(), json!({ "targets": ["web:80"], "labels": { "team": "a" } }));
        assert_eq!(Reachable::of(&EffectiveSettings::default()), Reachable::default());
    }
}
