//! Secrets that scripts are given in their context file.

use std::{fs, sync::Arc};

use eyrie_core::{
    Eyrie,
    deployment_type::service::{ScriptOptions, ServicesRoot},
    model::{DeploymentPatch, NewSecret, Owner, Principal, Settings},
    name::ServiceName,
    platform::StartRun,
    secret::MemoryKeyring,
};
use eyrie_tests::{
    actions::{Gate, Ledger},
    scripts::write_service,
    world::{Ground, Kind, World, deployment, quick},
};
use serde_json::{Value, json};

use super::{CANARY, assert_clean, log, naming, raw_files};

const SCRIPT: &str = r#"
cp "$2" "$(pwd)/kept.json"
cat "$2"; echo
cat "$2" >&2; echo >&2
printf '{"name": "shows", "state": "success", "message": "%s"}\n' 'c\u00e4nary \"7Zq\"/+ of the deep'
exit 1
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_gets_the_value_and_its_output_does_not_show_it() {
    let ground = Ground::new(Kind::Sqlite).await;
    let root = ground.dir.path().join("services");
    fs::create_dir(&root).unwrap();
    write_service(&root, "x", &json!({}), SCRIPT);
    let eyrie = Eyrie::builder(Arc::clone(&ground.store))
        .services(ServicesRoot::open(&root).unwrap(), ScriptOptions::default())
        .keyring(MemoryKeyring::generate().unwrap())
        .public_url("http://127.0.0.1:9")
        .worker(quick())
        .start()
        .await
        .unwrap();
    let me = eyrie.acting_as(Principal::local_operator());
    let other = deployment(&me, "one").await;
    let world = World { eyrie, me, deployment: other, gate: Gate::default(), ledger: Ledger::default(), ground: ground.clone() };
    world.me.sync_services().await.unwrap();
    let deployment = world.me.service_deployment(&ServiceName::new("x").unwrap()).await.unwrap();
    let owner = Owner::Project(deployment.project_id);
    let secret = world.me.create_secret(owner, NewSecret::new("password", CANARY).unwrap()).await.unwrap();
    let settings = Settings::default().with("database", json!({ "password": naming(secret.id) })).unwrap();
    let patch = DeploymentPatch { settings: Some(settings), ..DeploymentPatch::default() };
    world.me.update_deployment(deployment.id, deployment.version, patch).await.unwrap();
    let run = world.me.start_run(deployment.id, StartRun::default()).await.unwrap().id;
    let view = world.end_of(run).await;
    let given: Value = serde_json::from_str(&fs::read_to_string(root.join("x/kept.json")).unwrap()).unwrap();
    assert_eq!(given["settings"]["database"]["password"], CANARY);
    let token = given["access_token"].as_str().unwrap();
    let said = format!("{view:?}{}", log(&world, run).await);
    assert_clean("the run", &said);
    assert!(said.contains("***") && !said.contains(token), "the run's own token is kept out, too: {said}");
    let reported = view.steps.iter().find(|step| step.name.as_str() == "shows").unwrap();
    assert_eq!(reported.message, "***");
    world.eyrie.shutdown().await;
    assert_clean("the file", &raw_files(&ground));
}
