//! What a script is given: one file, a clean environment, its folder.

use std::fs;

use eyrie_core::model::RunKind;
use serde_json::{Value, json};

use super::Site;

const SCRIPT: &str = r#"
[ $# = 2 ] && [ "$1" = --config ] && [ "$2" = "$EYRIE_CONFIG_FILE" ] && [ "$2" = "$DEPLOY_CONFIG_FILE" ] || exit 9
echo "mode $(stat -c %a "$2")"
echo "file $2"
echo "folder $(pwd -P)"
env | sed -n 's/^\([A-Za-z_]*\)=.*/env \1/p'
cp "$2" kept.json
"#;

fn all<'a>(log: &'a str, word: &str) -> Vec<&'a str> {
    log.lines().filter_map(|line| line.strip_prefix(word)?.strip_prefix(' ')).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_gets_a_file_and_nothing_else() {
    let config = json!({ "description": "d", "hosts": ["a", { "b": 1 }] });
    let site = Site::with(config.clone(), SCRIPT).await;
    let run = site.start_as("x", RunKind::Deploy, json!({ "KEY": "a \"value\"\n" })).await;
    let view = site.world.end_of(run).await;
    assert_eq!(view.run.state.as_str(), "succeeded", "{}", view.run.message);
    let log = site.log(run).await;
    assert_eq!(all(&log, "mode"), ["600"]);
    let folder = site.file("x").canonicalize().unwrap();
    assert_eq!(all(&log, "folder"), [folder.to_str().unwrap()]);
    let file = all(&log, "file")[0];
    assert!(file.starts_with(site.contexts.to_str().unwrap()), "{file}");
    site.assert_no_context_is_left();

    let given: Value = serde_json::from_str(&fs::read_to_string(site.file("x/kept.json")).unwrap()).unwrap();
    assert_eq!(given["context"]["env"], json!({ "KEY": "a \"value\"\n" }));
    assert_eq!(given["config"], config);
    assert_eq!(given["run_id"], json!(run));
    assert_eq!(given["deploy_script"], "x/deploy.sh");
    assert_eq!((&given["service"], &given["kind"], &given["attempt"]), (&json!("x"), &json!("deploy"), &json!(1)));
    assert!(given.get("access_token").is_none(), "there is no server to report to");

    // The shell adds the latter ones.
    let allowed = ["PATH", "HOME", "LANG", "EYRIE_CONFIG_FILE", "DEPLOY_CONFIG_FILE", "PWD", "OLDPWD", "SHLVL", "_"];
    let seen = all(&log, "env");
    assert!(seen.iter().all(|name| allowed.contains(name)), "{seen:?}");
    assert!(allowed[..5].iter().all(|name| seen.contains(name)), "{seen:?}");
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some(), "this process has what the script must not see");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_file_is_removed_however_the_script_ends() {
    let site = Site::with(json!({ "timeout_seconds": 1 }), "exit 3").await;
    assert_eq!(site.deploy("x").await.run.state.as_str(), "failed");
    site.assert_no_context_is_left();
    site.write("x", json!({ "timeout_seconds": 1 }), "sleep 60");
    assert_eq!(site.deploy("x").await.steps[0].message, "timed out after 1s");
    site.assert_no_context_is_left();
}
