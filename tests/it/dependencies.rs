//! What the workspace depends on: licences that may be used, crates that may not, and one direction.

use std::collections::BTreeSet;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "Zlib",
];

/// Crates that must not be in the tree, with why.
const BANNED: &[(&str, &str)] = &[
    ("openssl", "one TLS provider for all: rustls with ring"),
    ("openssl-sys", "one TLS provider for all: rustls with ring"),
    ("native-tls", "one TLS provider for all: rustls with ring"),
    ("aws-lc-rs", "one TLS provider for all: rustls with ring"),
    ("aws-lc-sys", "one TLS provider for all: rustls with ring"),
    ("backoff", "unmaintained: backon"),
    ("serde_yml", "unsound and unmaintained"),
    ("serde_yaml", "unmaintained"),
];

fn metadata() -> Metadata {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    MetadataCommand::new().manifest_path(manifest).other_options(vec!["--locked".to_owned()]).exec().expect("cargo metadata")
}

/// Whether an SPDX expression can be satisfied by accepted licences. Parentheses are taken apart from the inside.
fn is_accepted(expression: &str) -> bool {
    let text = expression.replace('/', " OR ");
    if let Some(open) = text.rfind('(') {
        let Some(close) = text[open..].find(')').map(|place| open + place) else { return false };
        let inner = if is_accepted(&text[open + 1..close]) { "MIT" } else { "refused" };
        return is_accepted(&format!("{}{inner}{}", &text[..open], &text[close + 1..]));
    }
    text.split(" OR ").any(|one| one.split(" AND ").all(|licence| LICENCES.contains(&licence.trim())))
}

#[test]
fn licence_expressions_are_read() {
    for good in ["MIT", "MIT/Apache-2.0", "MIT OR GPL-3.0", "(MIT OR Apache-2.0) AND Unicode-3.0", "Apache-2.0 WITH LLVM-exception OR MIT"]
    {
        assert!(is_accepted(good), "{good}");
    }
    for bad in ["GPL-3.0", "MIT AND GPL-3.0", "(GPL-3.0 OR AGPL-3.0) AND MIT", ""] {
        assert!(!is_accepted(bad), "{bad}");
    }
}

#[test]
fn all_licences_are_accepted() {
    let refused: Vec<_> = metadata()
        .packages
        .iter()
        .filter(|package| !package.license.as_deref().is_some_and(is_accepted))
        .map(|package| format!("{} {}: {:?}", package.name, package.version, package.license))
        .collect();
    assert!(refused.is_empty(), "licences that are not accepted:\n{}", refused.join("\n"));
}

#[test]
fn no_banned_crate_is_in_the_tree() {
    let names: BTreeSet<_> = metadata().packages.iter().map(|package| package.name.to_string()).collect();
    for (name, why) in BANNED {
        assert!(!names.contains(*name), "{name} is in the tree: {why}");
    }
}

/// The bundled SQLite must be 3.51.3 or later, which fixes the corruption on a reset of the write-ahead log.
#[test]
fn the_bundled_sqlite_is_new_enough() {
    let metadata = metadata();
    let version = &metadata.packages.iter().find(|package| package.name.as_str() == "libsqlite3-sys").expect("libsqlite3-sys").version;
    assert!((version.major, version.minor) >= (0, 37), "libsqlite3-sys {version}");
    assert!(rusqlite::version_number() >= 3_051_003, "SQLite {}", rusqlite::version());
}

#[test]
fn dependencies_point_one_way() {
    let metadata = metadata();
    let members: Vec<&Package> = metadata.workspace_packages();
    let depends = |package: &Package, on: &dyn Fn(&str) -> bool| {
        package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal).any(|dependency| on(&dependency.name))
    };
    for package in &members {
        match package.name.as_str() {
            "eyrie-core" => {
                assert!(!depends(package, &|name| name.starts_with("eyrie-")), "core knows no other crate of ours");
                let adapter = |name: &str| ["sea-", "sqlx", "kube", "k8s-", "aws-"].iter().any(|prefix| name.starts_with(prefix));
                assert!(!depends(package, &adapter), "core names no database, cluster or cloud crate");
            }
            "eyrie-store-sea" => {
                assert!(!depends(package, &|name| name.starts_with("eyrie-") && name != "eyrie-core"), "adapters know core only")
            }
            _ => {}
        }
    }
    let names: BTreeSet<_> = members.iter().map(|package| package.name.as_str()).collect();
    assert!(["eyrie-core", "eyrie-store-sea", "eyrie-portal", "eyrie-tests", "eyrie-benches"].iter().all(|name| names.contains(name)));
}
