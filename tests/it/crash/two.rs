//! Two processes on one file.

use std::time::Duration;

use eyrie_tests::crash::oracle::{Leases, judge};

use super::field;

#[test]
fn two_processes_share_the_work() {
    let field = field(5);
    let mut first = field.start(&["max_runs=3", field.lease()]);
    first.wait_ready();
    let second = field.start(&["enqueue=40", "max_runs=3", "drain=yes", field.lease()]);
    let name = second.id().to_string();
    second.wait_end(Duration::from_secs(60));
    let other = first.id().to_string();
    first.kill();
    let found = judge(&field, Leases::Kept);
    let share = |name: &String| found.by_process.get(name).copied().unwrap_or(0);
    println!("crash: two processes executed {} and {} runs; {found}", share(&other), share(&name));
    assert_eq!((found.runs, found.again, found.takeovers), (40, 0, 0), "each is executed by one of them");
    assert!(share(&name) > 0 && share(&other) > 0, "both do some: {:?}", found.by_process);
}
