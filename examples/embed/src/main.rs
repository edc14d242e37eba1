//! The smallest program: a store in a file, a deployment, a plan of three steps, live progress.
use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use eyrie_core::engine::{Action, ActionContext, ActionError, Output};
use eyrie_core::model::{NewDeployment, NewGroup, NewProject, Plan, Principal, RunEventBody};
use eyrie_store_sea::SeaStore;

#[derive(Debug)]
struct Work;

#[async_trait]
impl Action for Work {
    async fn run(&self, _cx: ActionContext) -> Result<Option<Output>, ActionError> {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok(None)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let store = SeaStore::open(&format!("sqlite:{}/embed.db", folder.path().display())).await?;
    let eyrie = eyrie_core::Eyrie::builder(Arc::new(store)).action("work", Work).start().await?;
    let me = eyrie.acting_as(Principal::local_operator());
    let project = me.create_project(NewProject::new("blog")?).await?;
    let group = me.create_group(project.id, NewGroup::new("web", "embedded")?).await?;
    let deployment = me.create_deployment(group.id, NewDeployment::new("production")?).await?;
    let plan = Plan::builder()
        .step("fetch", "work", |s| s)
        .step("build", "work", |s| s.needs(["fetch"]))
        .step("ship", "work", |s| s.needs(["build"]));
    let run = me.run_plan(deployment.id, plan.build()?).await?;
    let mut events = me.follow_run(run.id, 0).await?;
    while let Some(event) = events.next().await? {
        match &event.body {
            RunEventBody::Step { name, state, .. } => println!("{:>3}  step {name}: {state}", event.seq),
            RunEventBody::Run { state, .. } => println!("{:>3}  run: {state}", event.seq),
            RunEventBody::Progress { message, .. } => println!("{:>3}  {message}", event.seq),
        }
    }
    Ok(())
}
