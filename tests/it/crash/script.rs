//! A script whose worker was killed: ended before it is started again.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant},
};

use eyrie_tests::crash::{
    oracle::{Leases, judge},
    process::wait_until,
};

use super::{field, touch};

/// Holds a lock as long as anything of it lives, so that two at once cannot go unnoticed.
const SCRIPT: &str = r#"#!/bin/sh
exec 9>lock
flock -n 9 || { echo 'another one lives'; exit 9; }
echo $$ >>pids
echo '{"name": "begun", "state": "success"}'
[ -e quick ] && exit 0
sleep 60 &
sleep 60
"#;

#[test]
fn a_script_whose_worker_died_is_ended_and_run_again() {
    let field = field(2);
    let folder = field.folder.join("services/slow");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("config.json"), "{}").unwrap();
    fs::write(folder.join("deploy.sh"), SCRIPT).unwrap();
    fs::set_permissions(folder.join("deploy.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    let services = format!("services={}", field.folder.join("services").display());
    let first = field.start(&["enqueue=service", "lease=15000", &services]);
    let heard =
        |words: &[&str]| field.journal.those("heard").iter().any(|line| words.iter().all(|word| line.iter().any(|said| said == word)));
    wait_until(Duration::from_secs(60), "the script's report", || heard(&["begun", "succeeded"]));
    let group = leaders(&folder)[0];
    assert!(members(group).len() >= 2, "the script and its sleep");
    touch(&folder.join("quick"));
    first.kill();
    assert!(!members(group).is_empty(), "a script outlives its worker");
    let begun = Instant::now();
    field.start(&["drain=yes", "lease=15000", &services]).wait_end(Duration::from_secs(60));
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(12), "the second attempt ended after {took:?}");
    assert_eq!(members(group), [0; 0], "of the first attempt nothing is left");
    let leaders = leaders(&folder);
    assert_eq!(leaders.len(), 2, "both attempts got the lock");
    assert_eq!(members(leaders[1]), [0; 0]);
    let found = judge(&field, Leases::Kept);
    println!("crash: script again after {:.1} s; {found}", took.as_secs_f64());
    assert_eq!((found.runs, found.takeovers, found.attempts), (1, 1, 2));
}

/// The ids that the script wrote down, one an attempt.
fn leaders(folder: &std::path::Path) -> Vec<i32> {
    let text = fs::read_to_string(folder.join("pids")).unwrap();
    text.lines().map(|line| line.parse().unwrap()).collect()
}

/// The living processes of a group.
fn members(group: i32) -> Vec<i32> {
    let stats = fs::read_dir("/proc").unwrap().filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("stat")).ok());
    let member = |stat: String| {
        let (pid, rest) = (stat.split(' ').next()?.parse::<i32>().ok()?, stat.rsplit_once(") ")?.1.to_owned());
        let mut fields = rest.split(' ');
        let (state, of) = (fields.next()?, fields.nth(1)?.parse::<i32>().ok()?);
        (of == group && !matches!(state, "Z" | "X")).then_some(pid)
    };
    stats.filter_map(member).collect()
}
