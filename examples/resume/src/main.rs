//! A run that outlives its process.
//!
//! Run it twice: the first time it kills itself (SIGKILL, no goodbye) in the middle of step 3 of 5; the second time it finds the run in
//! the store, says at which step it resumes, and finishes. The store lies in the system's temporary folder and is removed at the end.

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use eyrie_core::engine::{Action, ActionContext, ActionError, Output, WorkerOptions};
use eyrie_core::id::RunId;
use eyrie_core::model::{NewDeployment, NewGroup, NewProject, Plan, Principal, RunEventBody, StepState};
use eyrie_core::store::RunFilter;
use eyrie_core::{Acting, Eyrie};
use eyrie_store_sea::SeaStore;

const STEPS: [&str; 5] = ["fetch", "build", "upload", "switch", "check"];

#[derive(Debug)]
struct Work {
    /// The step in which the process kills itself.
    deadly: Option<&'static str>,
}

#[async_trait]
impl Action for Work {
    async fn run(&self, cx: ActionContext) -> Result<Option<Output>, ActionError> {
        tokio::time::sleep(Duration::from_millis(150)).await;
        if self.deadly == Some(cx.step_name().as_str()) {
            println!("     killing myself in the middle of step {:?}; run me again", cx.step_name().as_str());
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
                .map_err(|error| ActionError::new(error.to_string()))?;
        }
        Ok(None)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = folder()?;
    let store = Arc::new(SeaStore::open(&format!("sqlite:{}/resume.db", folder.display())).await?);
    // First without a worker, to see what the last process left.
    let looking = Eyrie::builder(store.clone()).without_worker().start().await?;
    let left = unfinished(&looking.acting_as(Principal::local_operator())).await?;
    looking.shutdown().await;

    let deadly = if left.is_none() { Some(STEPS[2]) } else { None };
    let options = WorkerOptions { lease: Duration::from_secs(3), ..WorkerOptions::default() };
    let eyrie = Eyrie::builder(store).action("work", Work { deadly }).worker(options).start().await?;
    let me = eyrie.acting_as(Principal::local_operator());
    let (run, after) = match left {
        Some((run, step, seen)) => {
            println!("found run {run}; resuming at step {step:?}");
            (run, seen)
        }
        None => {
            let run = begin(&me).await?;
            println!("began run {run}");
            (run, 0)
        }
    };
    let mut events = me.follow_run(run, after).await?;
    while let Some(event) = events.next().await? {
        match &event.body {
            RunEventBody::Step { name, state, attempt, .. } => println!("{:>3}  step {name}: {state} (attempt {attempt})", event.seq),
            RunEventBody::Run { state, message } => println!("{:>3}  run: {state} {message}", event.seq),
            RunEventBody::Progress { .. } => {}
        }
    }
    eyrie.shutdown().await;
    std::fs::remove_dir_all(folder)?;
    Ok(())
}

/// The run that the last process left, the step it had begun, and the event behind which to go on.
async fn unfinished(me: &Acting) -> eyrie_core::Result<Option<(RunId, String, u64)>> {
    let runs = me.runs(RunFilter::default(), Default::default()).await?;
    let Some(run) = runs.items.into_iter().find(|run| !run.state.is_terminal()) else { return Ok(None) };
    let view = me.run(run.id).await?;
    let step = view.steps.iter().find(|step| step.state == StepState::Running);
    let step = step.or_else(|| view.steps.iter().find(|step| step.state == StepState::Pending));
    Ok(step.map(|step| (run.id, step.name.to_string(), run.last_seq)))
}

async fn begin(me: &Acting) -> eyrie_core::Result<RunId> {
    let project = me.create_project(NewProject::new("blog")?).await?;
    let group = me.create_group(project.id, NewGroup::new("web", "embedded")?).await?;
    let deployment = me.create_deployment(group.id, NewDeployment::new("production")?).await?;
    let plan = STEPS.windows(2).fold(Plan::builder().step(STEPS[0], "work", |s| s), |plan, pair| {
        let [before, name] = [pair[0], pair[1]];
        plan.step(name, "work", |s| s.needs([before]))
    });
    Ok(me.run_plan(deployment.id, plan.build()?).await?.id)
}

/// A folder of this user's own that the second start finds again.
fn folder() -> std::io::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt;
    let path = std::env::temp_dir().join(format!("eyrie-resume-{}", rustix::process::getuid().as_raw()));
    std::fs::DirBuilder::new().mode(0o700).recursive(true).create(&path)?;
    Ok(path)
}
