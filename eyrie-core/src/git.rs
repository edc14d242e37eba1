//! Names that git gives: branches and commits.

use std::borrow::Cow;

use crate::name::name;

/// The longest name of a branch, in bytes: with what git adds it still is a file's name.
const MAX_BRANCH: usize = 240;

name! {
    /// A branch's name, as `git check-ref-format --branch` accepts it.
    BranchName, "name", branch
}
name! {
    /// A commit: 40 (SHA-1) or 64 (SHA-256) lower-case hex digits.
    CommitId, "commit", commit
}

/// By the rules of git-check-ref-format(1).
fn branch(text: &str) -> Result<(), Cow<'static, str>> {
    if text.is_empty() || text.len() > MAX_BRANCH {
        return Err(format!("must be 1 to {MAX_BRANCH} bytes long").into());
    }
    if text.starts_with('-') {
        return Err("may not begin with '-'".into());
    }
    if text.chars().any(|c| c.is_control() || c == ' ' || "~^:?*[\\".contains(c)) {
        return Err("may not hold spaces, control characters or any of ~^:?*[\\".into());
    }
    if text.contains("..") || text.contains("@{") || text == "@" || text == "HEAD" {
        return Err("may not hold \"..\" or \"@{\", or be \"@\" or \"HEAD\"".into());
    }
    if text.ends_with('.') {
        return Err("may not end with '.'".into());
    }
    if text.split('/').any(|part| part.is_empty() || part.starts_with('.') || part.ends_with(".lock")) {
        return Err("no part between slashes may be empty, begin with '.' or end with \".lock\"".into());
    }
    Ok(())
}

fn commit(text: &str) -> Result<(), Cow<'static, str>> {
    if !matches!(text.len(), 40 | 64) || !text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        return Err("must be the whole id of a commit: 40 or 64 digits of 0-9 and a-f".into());
    }
    if text.bytes().all(|b| b == b'0') {
        return Err("is the id of no commit".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn branches() {
        for good in ["main", "feature/a-b", "v1.2", "über", "a@b", "x.lock.y", "@x", &"a".repeat(MAX_BRANCH)] {
            BranchName::new(good).unwrap();
        }
        for bad in [
            "",
            "-main",
            "a b",
            "a\tb",
            "a\u{7f}",
            "a~1",
            "a^",
            "a:b",
            "a?",
            "a*",
            "a[",
            "a\\b",
            "a..b",
            "a@{1}",
            "@",
            "HEAD",
            "a.",
            "/a",
            "a/",
            "a//b",
            ".a",
            "a/.b",
            "a.lock",
            "a.lock/b",
            &"a".repeat(MAX_BRANCH + 1),
        ] {
            assert_eq!(BranchName::new(bad).unwrap_err().field(), "name", "{bad:?}");
        }
    }

    #[test]
    fn commits() {
        for good in ["0123456789abcdef0123456789abcdef01234567", &"ab".repeat(32)] {
            CommitId::new(good).unwrap();
        }
        for bad in ["", "0123456", &"A".repeat(40), &"g".repeat(40), &"0".repeat(40), &"0".repeat(64), &"a".repeat(41), "HEAD"] {
            assert_eq!(CommitId::new(bad).unwrap_err().field(), "commit", "{bad:?}");
        }
    }
}
