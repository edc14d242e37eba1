//! A line without end does not fill the memory.

use std::{fs, process::Command};

use serde_json::json;

use super::{Site, outcome, reported};

const SIZE: usize = 50_000_000;

/// Kibibytes, as the kernel says.
fn own(what: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
}

/// Other tests use memory too, so this one is executed by a process of its own.
#[test]
fn a_line_of_fifty_megabytes_takes_little_memory() {
    let name = "services::memory::in_a_process_of_its_own";
    let output = Command::new(std::env::current_exe().unwrap()).args(["--exact", name, "--ignored", "--nocapture"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    println!("{}", said.lines().find(|line| line.starts_with("memory:")).unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "executed by a_line_of_fifty_megabytes_takes_little_memory"]
async fn in_a_process_of_its_own() {
    // It begins like a report, which is where most of it could be kept.
    let script = format!(
        "printf '{{\"name\": \"a\", \"state\": \"success\", \"message\": \"'\nhead -c {SIZE} /dev/zero | tr '\\0' x\necho '\"}}'\necho '{{\"name\": \"b\", \"state\": \"success\"}}'"
    );
    let site = Site::with(json!({ "steps": ["a", "b"] }), &script).await;
    // What the first run of all costs once.
    site.write("small", json!({}), "echo small");
    site.deploy("small").await;
    let before = own("VmRSS");
    let view = site.deploy("x").await;
    let grown = own("VmHWM").saturating_sub(before);
    println!("memory: {before} KiB before, at most {grown} KiB more");
    assert!(grown < 64 * 1024, "grew by {grown} KiB");
    assert_eq!(outcome(&view), ("succeeded", "succeeded", ""));
    assert_eq!(reported(&view), ["a: skipped", "b: succeeded"], "what is too long for a report is log");
    let log = site.log(view.run.id).await;
    let text = log.strip_prefix("{\"name\": \"a\", \"state\": \"success\", \"message\": \"").unwrap().strip_suffix("\"}\n").unwrap();
    assert!(text.len() == SIZE && text.bytes().all(|byte| byte == b'x'), "{} bytes", text.len());
}
