//! Actions and a deployment type of your own: what a team writes that deploys something Eyrie does not know.
//!
//! The deployment type `greeting` turns a deployment's settings into a plan. Its actions show the whole contract: parameters,
//! outputs of earlier steps, progress, log, retries, a cancel, and a probe that lets a takeover find out whether the work was done.

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use eyrie_core::deployment_type::{DeploymentType, PlanRequest};
use eyrie_core::engine::{Action, ActionContext, ActionError, Output, Probed};
use eyrie_core::model::{
    CrashPolicy, NewDeployment, NewGroup, NewProject, Plan, PlannedRelease, Principal, RetryPolicy, RunEventBody, Settings,
};
use eyrie_core::name::GroupType;
use eyrie_core::platform::StartRun;
use eyrie_core::{Eyrie, Invalid};
use eyrie_store_sea::SeaStore;
use serde::Deserialize;
use serde_json::{Value, json};

/// Makes the text, after a first attempt that fails on purpose.
#[derive(Debug)]
struct Render;

#[derive(Deserialize)]
struct RenderParameters {
    greeting: String,
    name: String,
}

#[async_trait]
impl Action for Render {
    async fn run(&self, cx: ActionContext) -> Result<Option<Output>, ActionError> {
        let parameters: RenderParameters = cx.parse_parameters()?;
        for percent in [25, 50, 75] {
            cx.progress(format!("{percent} %"));
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(120)) => {}
                () = cx.cancelled() => return Err(ActionError::new("stopped half-way; nothing was written")),
            }
        }
        if cx.attempt() == 1 {
            return Err(ActionError::new("the first attempt always fails here"));
        }
        cx.log(format!("rendered for {}\n", parameters.name)).await;
        Ok(Some(json!(format!("{}, {}!", parameters.greeting, parameters.name))))
    }
}

/// Writes the text to a file: atomically, so that a probe can tell whether it happened.
#[derive(Debug)]
struct Publish {
    path: PathBuf,
}

#[async_trait]
impl Action for Publish {
    async fn run(&self, cx: ActionContext) -> Result<Option<Output>, ActionError> {
        let text = cx.output_of("render").and_then(|output| output.as_str()).unwrap_or_default();
        let temporary = self.path.with_extension("new");
        let written = std::fs::write(&temporary, text).and_then(|()| std::fs::rename(&temporary, &self.path));
        written.map_err(|error| ActionError::new(format!("{}: {error}", self.path.display())))?;
        Ok(Some(json!({ "bytes": text.len() })))
    }

    async fn probe(&self, cx: ActionContext) -> Probed {
        match (std::fs::read_to_string(&self.path), cx.output_of("render").and_then(|output| output.as_str())) {
            (Ok(there), Some(wanted)) if there == wanted => Probed::Happened(Some(json!({ "bytes": wanted.len() }))),
            _ => Probed::NotHappened,
        }
    }
}

/// Deployments that greet somebody.
#[derive(Debug)]
struct Greeting(GroupType);

impl DeploymentType for Greeting {
    fn group_type(&self) -> &GroupType {
        &self.0
    }

    fn defaults(&self) -> Settings {
        Settings::default().with("greeting", "Hello").unwrap_or_default()
    }

    fn schema(&self) -> Value {
        json!({
            "properties": { "greeting": { "type": "string", "minLength": 1 }, "name": { "type": "string", "minLength": 1 } },
            "required": ["greeting", "name"],
        })
    }

    fn plan(&self, request: &PlanRequest<'_>) -> eyrie_core::Result<Plan> {
        let text = |key: &'static str| {
            let value = request.settings.get(key).and_then(|value| value.as_str());
            value.ok_or_else(|| Invalid::new(format!("settings.{key}"), "must be a text"))
        };
        let parameters = json!({ "greeting": text("greeting")?, "name": text("name")? });
        Plan::builder()
            .step("render", "greeting.render", |step| {
                step.parameters(parameters.clone()).retry(RetryPolicy::exponential(3, Duration::from_millis(200))).timeout_seconds(10)
            })
            .step("publish", "greeting.publish", |step| step.needs(["render"]).on_crash(CrashPolicy::Probe))
            .release(PlannedRelease { config: parameters.clone(), leaves_running: true })
            .build()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let store = SeaStore::open(&format!("sqlite:{}/custom.db", folder.path().display())).await?;
    let published = folder.path().join("greeting.txt");
    let eyrie = Eyrie::builder(Arc::new(store))
        .action("greeting.render", Render)
        .action("greeting.publish", Publish { path: published.clone() })
        .deployment_type(Greeting(GroupType::new("greeting")?))
        .start()
        .await?;
    let me = eyrie.acting_as(Principal::local_operator());
    let project = me.create_project(NewProject::new("hello")?).await?;
    let group = me.create_group(project.id, NewGroup::new("greetings", "greeting")?).await?;
    let new = NewDeployment { settings: Settings::default().with("name", "world")?, ..NewDeployment::new("world")? };
    let deployment = me.create_deployment(group.id, new).await?;
    for (key, field) in me.deployment(deployment.id).await?.effective_settings.iter() {
        println!("setting {key} = {} (from the {})", field.value, field.level);
    }
    let run = me.start_run(deployment.id, StartRun::default()).await?;
    let mut events = me.follow_run(run.id, 0).await?;
    while let Some(event) = events.next().await? {
        match &event.body {
            RunEventBody::Step { name, state, attempt, message, .. } => println!("step {name}, attempt {attempt}: {state} {message}"),
            RunEventBody::Progress { name, message, .. } => println!("step {name}: {message}"),
            RunEventBody::Run { state, message } => println!("run: {state} {message}"),
        }
    }
    println!("published: {}", std::fs::read_to_string(published)?);
    eyrie.shutdown().await;
    Ok(())
}
