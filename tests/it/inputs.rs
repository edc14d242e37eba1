//! Everything that takes text from outside, on text that nobody would write: it is taken or refused, and never panics.
//! `EYRIE_TEST_INPUTS` says how many of each.

use eyrie_core::{
    access::TokenSecret,
    address::{GitUrl, HttpUrl},
    deployment_type::service::{Line, parse_line},
    git::{BranchName, CommitId},
    model::{
        ClusterPatch, Condition, CronExpression, DatasourcePatch, DeploymentPatch, Endpoint, EventCursor, GroupPatch, ImagePatch,
        MonitorPatch, NewDeployment, NewProject, NewSchedule, Plan, ProjectPatch, RepositoryPatch, SchedulePatch, ScopePatch, Settings,
        SettingsPatch,
    },
    name::{DisplayName, Origin, RequestId, ServiceName, SettingKey, Slug, UserName},
    oci::{ImageDigest, ImageReference},
    platform::{NewServiceToken, TokenRotation},
    store::PageRequest,
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

fn inputs() -> u32 {
    std::env::var("EYRIE_TEST_INPUTS").map_or(10_000, |text| text.parse().expect("EYRIE_TEST_INPUTS is a number"))
}

/// Tries as many inputs as asked for. A failure prints the smallest one that fails, and its seed.
fn every<S: Strategy>(strategy: S, test: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let config = Config { cases: inputs(), failure_persistence: None, max_shrink_iters: 10_000, ..Config::default() };
    if let Err(failure) = TestRunner::new(config).run(&strategy, test) {
        panic!("{failure}");
    }
}

/// Text of all kinds: of the characters that matter to names, of any, and names with one thing wrong.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9-]{0,70}",
        "[a-zA-Z0-9._@/:+ -]{0,40}",
        ".{0,40}",
        "[a-z][a-z0-9-]{0,8}[\\x00-\\x20{}$`'\"\\\\<>\u{430}\u{2010}\u{200b}\u{feff}\u{ff41}][a-z0-9]{0,8}",
    ]
}

/// JSON whose keys are often those of real settings, nested a little.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((key(), inner), 0..6).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    let known = [
        "name",
        "slug",
        "settings",
        "scope_id",
        "queue",
        "max_running",
        "keep_runs",
        "cron",
        "kind",
        "context",
        "steps",
        "needs",
        "action",
        "url",
        "config",
        "credentials_secret_id",
        "capabilities",
        "overlap_seconds",
        "days",
    ];
    prop_oneof![3 => prop::sample::select(known.to_vec()).prop_map(str::to_owned), 1 => text()]
}

fn object() -> impl Strategy<Value = Value> {
    prop::collection::vec((key(), json()), 0..6).prop_map(|fields| Value::Object(fields.into_iter().collect()))
}

/// What is refused says why, in words.
fn read<T: DeserializeOwned>(value: &Value) -> Result<Option<T>, TestCaseError> {
    match serde_json::from_value(value.clone()) {
        Ok(read) => Ok(Some(read)),
        Err(error) => {
            prop_assert!(!error.to_string().is_empty());
            Ok(None)
        }
    }
}

#[test]
fn slugs_and_names() {
    every(text(), |text| {
        if let Ok(slug) = Slug::new(text.as_str()) {
            prop_assert_eq!(slug.as_str(), &text);
            let label = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
            prop_assert!(label && (1..=63).contains(&text.len()) && !text.starts_with('-') && !text.ends_with('-'), "{text:?}");
        }
        for plain in [
            UserName::new(text.as_str()).map(|name| name.to_string()),
            ServiceName::new(text.as_str()).map(|name| name.to_string()),
            SettingKey::new(text.as_str()).map(|name| name.to_string()),
            Origin::new(text.as_str()).map(|name| name.to_string()),
            DisplayName::new(text.as_str()).map(|name| name.to_string()),
        ]
        .into_iter()
        .flatten()
        {
            prop_assert!(!plain.is_empty() && !plain.chars().any(char::is_control), "{plain:?}");
        }
        let derived = Slug::derive(&text);
        prop_assert!(Slug::new(derived.as_str()).is_ok() && Slug::new(derived.qualified("abcdefgh").as_str()).is_ok(), "{derived}");
        Ok(())
    });
}

#[test]
fn settings_and_patches() {
    every(object(), |value| {
        if let Some(settings) = read::<Settings>(&value)? {
            prop_assert_eq!(serde_json::to_value(&settings).unwrap(), value.clone(), "what was taken is what was sent");
        }
        read::<ProjectPatch>(&value)?;
        read::<GroupPatch>(&value)?;
        read::<ScopePatch>(&value)?;
        read::<DeploymentPatch>(&value)?;
        read::<NewProject>(&value)?;
        read::<NewDeployment>(&value)?;
        read::<NewSchedule>(&value)?;
        Ok(())
    });
}

#[test]
fn plans_and_conditions() {
    every(object(), |value| {
        if let Some(plan) = read::<Plan>(&value)? {
            prop_assert_eq!(read::<Plan>(&serde_json::to_value(&plan).unwrap())?, Some(plan));
        }
        read::<Condition>(&value)?;
        Ok(())
    });
}

#[test]
fn lines_of_scripts() {
    every(".*", |line| {
        let report = line.trim_start().starts_with('{');
        prop_assert!(report || parse_line(&line) == Line::Log);
        Ok(())
    });
    every(
        ("[^\\x00-\\x1f]{1,8}", prop::sample::select(&["pending", "running", "success", "failure"][..]), ".*", ".*"),
        |(name, state, message, error)| {
            let line = serde_json::json!({ "name": name, "state": state, "message": message, "error_message": error }).to_string();
            let Line::Step { message: told, .. } = parse_line(&line) else {
                prop_assert!(name.chars().all(|letter| letter.is_whitespace() || letter.is_control()), "{line}");
                return Ok(());
            };
            prop_assert_eq!(told, if error.is_empty() { message } else { error });
            Ok(())
        },
    );
    every(object(), |value| {
        let _ = parse_line(&value.to_string());
        Ok(())
    });
}

#[test]
fn addresses_and_references() {
    let urls = "(https|http|ssh|git|file|ext|javascript)(://|:|::)[ -~]{0,40}|git@[a-z0-9.-]{0,12}:[ -~]{0,30}";
    let references = "[a-zA-Z0-9._:/@\\[\\]-]{0,40}|(sha256|sha512|md5):[0-9a-fA-F]{0,130}|[0-9a-f]{38,66}";
    every(prop_oneof![urls, references, ".{0,60}"], |text| {
        if let Ok(url) = GitUrl::new(text.as_str()) {
            prop_assert!(!url.host().is_empty() && !url.host().contains('@') && !url.host().starts_with('-'), "{url}");
        }
        if let Ok(reference) = ImageReference::new(text.as_str()) {
            prop_assert!(!reference.tag().is_empty());
        }
        for plain in [
            HttpUrl::new(text.as_str()).map(|url| url.to_string()),
            Endpoint::new(text.as_str()).map(|endpoint| endpoint.to_string()),
            BranchName::new(text.as_str()).map(|branch| branch.to_string()),
            CommitId::new(text.as_str()).map(|commit| commit.to_string()),
            ImageDigest::new(text.as_str()).map(|digest| digest.to_string()),
            RequestId::new(text.as_str()).map(|id| id.to_string()),
        ]
        .into_iter()
        .flatten()
        {
            prop_assert_eq!(&plain, &text, "what was taken is what was sent");
            prop_assert!(!plain.starts_with('-') && !plain.chars().any(|c| c.is_control() || c == ' '), "{plain:?}");
        }
        Ok(())
    });
}

#[test]
fn patches_and_requests() {
    every(object(), |value| {
        read::<RepositoryPatch>(&value)?;
        read::<ImagePatch>(&value)?;
        read::<MonitorPatch>(&value)?;
        read::<ClusterPatch>(&value)?;
        read::<DatasourcePatch>(&value)?;
        read::<SchedulePatch>(&value)?;
        read::<NewServiceToken>(&value)?;
        read::<TokenRotation>(&value)?;
        if let Some(patch) = read::<SettingsPatch>(&value)? {
            // A patch that is sent again changes nothing.
            if let Ok(once) = Settings::default().changed(None, Some(patch.clone())) {
                prop_assert_eq!(once.clone().changed(None, Some(patch)), Ok(once));
            }
        }
        Ok(())
    });
}

#[test]
fn tokens() {
    every(prop_oneof![".{0,80}", "ey[svrd]_[A-Za-z0-9_-]{43}[A-Za-z0-9_-]{6}"], |text| {
        // 36 bits of checksum: none of these is right by chance.
        prop_assert_eq!(TokenSecret::parse(&text), None);
        Ok(())
    });
}

#[test]
fn cron_expressions() {
    every("[0-9*/,@#LW+? a-zA-Z-]{0,40}|([0-9*/,-]{1,4} ){4}[0-9*/,-]{1,4}|@[a-z]{0,9}|.{0,40}", |text| {
        if let Ok(cron) = CronExpression::new(text) {
            prop_assert_eq!(CronExpression::new(cron.as_str()), Ok(cron));
        }
        Ok(())
    });
}

#[test]
fn cursors() {
    every(prop_oneof!["[0-9a-f]{0,18}", "[0-9a-f]{0,18}\\.[0-9a-f]{0,18}", "[0-9a-fA-F.+-]{0,36}", ".{0,40}"], |text| {
        if let Ok(cursor) = text.parse::<EventCursor>() {
            prop_assert_eq!(cursor.to_string(), text.clone());
            prop_assert!(i64::try_from(cursor.position()).is_ok() && i64::try_from(cursor.transaction()).is_ok());
        }
        if let Ok(id) = uuid::Uuid::try_parse(&text) {
            prop_assert_eq!(PageRequest::default().after(Some(id)).cursor(), Some(id));
        }
        Ok(())
    });
    every(any::<(u32, u64, u64)>(), |(limit, transaction, position)| {
        prop_assert_eq!(PageRequest::first(limit).is_ok(), (1..=PageRequest::MAX).contains(&limit));
        let cursor = EventCursor::from_transaction(transaction >> 1, position >> 1);
        prop_assert_eq!(cursor.to_string().parse::<EventCursor>(), Ok(cursor));
        Ok(())
    });
}
