//! Secrets, on every store: what is kept of them, what is opened, and what becomes of them in a run.

mod keyring;
mod runs;
mod scripts;

use async_trait::async_trait;
use data_encoding::{BASE64, BASE64_NOPAD, HEXLOWER};
use eyrie_core::{
    EyrieBuilder,
    engine::{Action, ActionContext, ActionError, Output},
    id::SecretId,
    model::{NewSecret, Owner, ReportedState},
    name::StepName,
    secret::MemoryKeyring,
    store::StepReport,
};
use eyrie_tests::world::{Ground, World, quick};
use serde_json::{Value, json};

/// What must not be seen anywhere.
const CANARY: &str = "c\u{e4}nary \"7Zq\"/+ of the deep";

/// Says its parameter in every way that there is, and then ends as it is told.
#[derive(Debug)]
struct Babbler;

#[async_trait]
impl Action for Babbler {
    async fn run(&self, cx: ActionContext) -> Result<Option<Output>, ActionError> {
        let debug = format!("{cx:?}");
        let secret = cx.parameters()["secret"].as_str().unwrap_or_default().to_owned();
        if secret != CANARY {
            return Err(ActionError::permanent("this is not the secret"));
        }
        cx.keep_handle(json!({ "secret": secret })).await?;
        cx.save_undo(json!({ &secret: [secret] })).await?;
        cx.progress(format!("progress {secret}"));
        cx.expect(vec![StepName::new(format!("name {secret}"))?]).await?;
        let report = |state| StepReport {
            parent: None,
            report_id: None,
            name: StepName::new(format!("name {secret}")).unwrap(),
            state,
            message: format!("message {secret}"),
        };
        cx.report(report(ReportedState::Running)).await?;
        cx.report(report(ReportedState::Success)).await?;
        let (first, second) = secret.split_at(5);
        cx.log(format!("begin\nlog {first}")).await;
        cx.log(second).await;
        for form in [
            BASE64.encode(secret.as_bytes()),
            BASE64_NOPAD.encode(format!("user:{secret}").as_bytes()),
            HEXLOWER.encode(secret.as_bytes()),
            json!(secret).to_string(),
            debug,
        ] {
            cx.log(format!("\n{form}")).await;
        }
        cx.log("\nend\n").await;
        match cx.parameters()["how"].as_str() {
            Some("fail") => Err(ActionError::permanent(format!("failed with {secret}"))),
            Some("panic") => panic!("panicked with {secret}"),
            _ => Ok(Some(json!({ "secret": secret, "as text": format!("<{secret}>") }))),
        }
    }

    async fn undo(&self, cx: ActionContext) -> Result<(), ActionError> {
        let secret = cx.parameters()["secret"].as_str().unwrap_or_default();
        cx.log(format!("undo {secret}\n")).await;
        if secret == CANARY { Ok(()) } else { Err(ActionError::permanent("this is not the secret")) }
    }
}

fn babbling(builder: EyrieBuilder) -> EyrieBuilder {
    builder.action("babble", Babbler)
}

/// A platform with a keyring, on the ground.
async fn world(ground: &Ground) -> World {
    World::with(ground, quick(), |builder| babbling(builder).keyring(MemoryKeyring::generate().unwrap())).await
}

/// A secret of the test project.
async fn secret(world: &World, name: &str, value: &str) -> SecretId {
    let owner = Owner::Project(world.deployment.project_id);
    world.me.create_secret(owner, NewSecret::new(name, value).unwrap()).await.unwrap().id
}

/// Demands that the text holds the canary in no form.
fn assert_clean(what: &str, text: &str) {
    let ascii = "c\\u00e4nary";
    let forms = [CANARY.to_owned(), BASE64_NOPAD.encode(&CANARY.as_bytes()[3..24]), HEXLOWER.encode(CANARY.as_bytes()), ascii.to_owned()];
    for form in forms.iter().map(String::as_str).chain(["nary \\\"7Zq", "of the deep"]) {
        assert!(!text.contains(form), "{what} shows {form:?}: {text}");
    }
}

/// Everything that the store's files hold, as text.
fn raw_files(ground: &Ground) -> String {
    let mut raw = String::new();
    for file in std::fs::read_dir(ground.dir.path()).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() && !path.to_string_lossy().contains("keyring") {
            raw.push_str(&String::from_utf8_lossy(&std::fs::read(path).unwrap()));
        }
    }
    raw
}

/// The whole log of a run.
async fn log(world: &World, run: eyrie_core::id::RunId) -> String {
    let piece = world.me.run_log(run, 0, 1 << 20).await.unwrap();
    piece.chunks.into_iter().map(|chunk| chunk.text).collect()
}

fn naming(id: SecretId) -> Value {
    json!({ "$secret": id })
}
