//! Runs: started, looked at, cancelled, resumed, undone.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    access::Permission,
    clock::{Timestamp, from_micros, later},
    deployment_type::PlanRequest,
    error::{Error, ErrorKind, IllegalTransition, Invalid, Result},
    id::{DeploymentId, RunId},
    model::{
        Branch, Deployment, Image, Plan, Principal, PrincipalRef, Run, RunKind, RunRow, RunState, Step, StepIndex, StepState, StopPolicy,
        check_json,
    },
    name::{Origin, StepName},
    platform::{Acting, Resource, approval::needs_are_met},
    store::{Change, Command, Enqueue, LogPiece, Page, PageRequest, RequestKey, RunFilter},
};

/// The largest context, as JSON in bytes.
const MAX_CONTEXT: usize = 256 * 1024;
const MAX_CONTEXT_DEPTH: usize = 64;

/// How far ahead a run can be queued.
const MAX_AHEAD: Duration = Duration::from_secs(5 * 366 * 86_400);

/// A run to be started through the deployment's type.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartRun {
    /// What it is for; `deploy` if missing.
    #[serde(default = "deploy")]
    pub kind: RunKind,
    /// What to pass along: a JSON object, for a service `{"env": {…}}`.
    #[serde(default = "empty")]
    pub context: Value,
    /// When it may begin, at the earliest; until then it keeps nobody from their turn. A time that has passed means now.
    #[serde(default)]
    pub not_before: Option<Timestamp>,
    /// A key against starting it twice, from the asker.
    #[serde(skip)]
    pub request_key: Option<String>,
}

const fn deploy() -> RunKind {
    RunKind::Deploy
}

fn empty() -> Value {
    json!({})
}

impl Default for StartRun {
    fn default() -> Self {
        Self { kind: RunKind::Deploy, context: empty(), not_before: None, request_key: None }
    }
}

/// A run to be started with a plan of the caller's own.
#[derive(Debug, Clone)]
pub struct RunRequest {
    /// The plan.
    pub plan: Plan,
    /// What else there is to say.
    pub start: StartRun,
}

/// The branch and the image that a deployment is made from.
#[derive(Debug, Clone)]
pub(super) struct Sources {
    pub(super) branch: Option<Branch>,
    pub(super) image: Option<Image>,
}

/// A run with its steps.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunView {
    /// The run.
    #[serde(flatten)]
    pub run: Run,
    /// Its steps: planned ones, then reported ones.
    pub steps: Vec<Step>,
}

impl Acting {
    /// Starts a run of a deployment: its type makes the plan from the effective settings. Durable when it returns.
    ///
    /// # Errors
    /// `Unsupported` when no type of that name is known or it cannot do such a run; `Invalid` names the field; `Conflict` when the
    /// request key was used for something else.
    pub async fn start_run(&self, deployment: DeploymentId, start: StartRun) -> Result<Run> {
        let deployment = self.deployment_for(deployment, Permission::RunStart).await?;
        let plan = self.plan(&deployment, &start).await?;
        self.enqueue(&deployment, plan, start).await
    }

    /// Starts a run of a deployment with a plan of the caller's own. Durable when it returns.
    ///
    /// # Errors
    /// `Invalid` names the step whose action this program does not know.
    pub async fn run_plan(&self, deployment: DeploymentId, plan: Plan) -> Result<Run> {
        self.run_plan_with(deployment, RunRequest { plan, start: StartRun::default() }).await
    }

    /// Like [`run_plan`](Self::run_plan), with a kind, a context and a request key.
    ///
    /// # Errors
    /// As there; `Conflict` when the request key was used for something else.
    pub async fn run_plan_with(&self, deployment: DeploymentId, request: RunRequest) -> Result<Run> {
        let deployment = self.deployment_for(deployment, Permission::RunStart).await?;
        self.enqueue(&deployment, request.plan, request.start).await
    }

    /// The run with its steps.
    ///
    /// # Errors
    /// `NotFound`, also for what the principal may not read.
    pub async fn run(&self, id: RunId) -> Result<RunView> {
        let run = self.run_for(id, Permission::ProjectRead).await?;
        let steps = self.store().steps(id).await?;
        Ok(RunView { run, steps })
    }

    /// Runs of a project, deployment or service that the principal may read, newest first. Operators may ask for all.
    ///
    /// # Errors
    /// `NotFound` for what the principal may not read.
    pub async fn runs(&self, filter: RunFilter, page: PageRequest) -> Result<Page<Run>> {
        let resource = match filter {
            RunFilter { deployment: Some(deployment), .. } => {
                Some(Resource::deployment(deployment, self.store().deployment(deployment).await?.project_id))
            }
            RunFilter { service: Some(service), .. } => Some(Resource::service(service, self.store().service(service).await?.project_id)),
            RunFilter { project: Some(project), .. } => Some(Resource::project(project)),
            _ => None,
        };
        match resource {
            Some(resource) => {
                let decision = self.require_as(Permission::ProjectRead, &resource).await?;
                let project = Some(resource.project_id());
                self.store().runs(RunFilter { project, reader: self.reader(&resource, decision), ..filter }, page).await
            }
            None => {
                self.require_everywhere(Permission::UserManage, "all runs").await?;
                self.store().runs(RunFilter { reader: None, ..filter }, page).await
            }
        }
    }

    /// Starts a run with the plan, kind and context of another one. Durable when it returns.
    ///
    /// # Errors
    /// `Invalid` names the step whose action this program no longer knows; `Conflict` when the request key was used for something
    /// else.
    pub async fn rerun_run(&self, id: RunId, request_key: Option<String>) -> Result<Run> {
        let run = self.run_for(id, Permission::RunStart).await?;
        let deployment = self.store().deployment(run.deployment_id).await?;
        let plan = self.store().plan(run.plan_hash).await?;
        let start = StartRun { kind: run.kind, context: (*run.context).clone(), not_before: None, request_key };
        self.enqueue(&deployment, plan, start).await
    }

    /// Asks for a run to be cancelled. Durable when it returns; the run is `cancelled` when everything has stopped, or `undone` when
    /// its plan says so. Of a run that is being undone the undo is cancelled.
    ///
    /// # Errors
    /// `IllegalTransition` when it has ended.
    pub async fn cancel_run(&self, id: RunId, reason: &str) -> Result<RunView> {
        let run = self.run_for(id, Permission::RunCancel).await?;
        let reason = self.because("cancelled", reason);
        let undoes = match self.store().plan(run.plan_hash).await {
            Ok(plan) => plan.on_cancel() == StopPolicy::Undo,
            // A store that does not answer now would have the run cancelled without its undo.
            Err(error) if error.is_retryable() => return Err(error),
            // A plan that this program cannot read must not keep anybody from cancelling.
            Err(_) => false,
        };
        let change = if undoes { Change::CancelAndUndo { reason } } else { Change::RequestCancel { reason } };
        self.command(run, Permission::RunCancel, change).await
    }

    /// Lets a parked run go on, or continues a failed one: what succeeded stays, all else begins anew, as further attempts. A failed
    /// run had left its deployment to others, and queues again; it keeps its id and the place that the time of its asking gives it,
    /// and its events go on where they ended. Whoever followed it to its end follows it anew.
    ///
    /// # Errors
    /// `IllegalTransition` when it is neither parked nor failed.
    pub async fn resume_run(&self, id: RunId, reason: &str) -> Result<RunView> {
        let run = self.run_for(id, Permission::RunResume).await?;
        let reason = self.because("resumed", reason);
        self.command(run, Permission::RunResume, Change::Resume { reason }).await
    }

    /// Tries one failed step of a failed run again, with all that depends on it, and nothing else. The run succeeds if that was all
    /// that was missing, and else fails again.
    ///
    /// # Errors
    /// `IllegalTransition` when the run or the step has not failed; `NotFound` when the run has no such planned step.
    pub async fn retry_step(&self, id: RunId, step: StepIndex, reason: &str) -> Result<RunView> {
        let run = self.run_for(id, Permission::RunResume).await?;
        let plan = self.store().plan(run.plan_hash).await?;
        let Some(planned) = plan.step(step) else { return Err(Error::not_found("step")) };
        let reason = self.because(&format!("step {:?} retried", planned.name.as_str()), reason);
        let dependents = plan.downstream(step).into_iter().filter(|one| *one != step).collect();
        self.command(run, Permission::RunResume, Change::RetryStep { step, dependents, reason }).await
    }

    /// Approves of a step that the run waits for; the run goes on.
    ///
    /// # Errors
    /// `Invalid` when the step is no approval; `Denied` when the plan asks for a higher role; `IllegalTransition` when the run does
    /// not wait, or not for this.
    pub async fn approve_step(&self, id: RunId, step: StepIndex, reason: &str) -> Result<RunView> {
        self.decide(id, step, true, self.because("approved", reason)).await
    }

    /// Rejects a step that the run waits for: the step, and with it the run, fails.
    ///
    /// # Errors
    /// As for [`approve_step`](Self::approve_step).
    pub async fn reject_step(&self, id: RunId, step: StepIndex, reason: &str) -> Result<RunView> {
        self.decide(id, step, false, self.because("rejected", reason)).await
    }

    async fn decide(&self, id: RunId, step: StepIndex, approved: bool, reason: String) -> Result<RunView> {
        let run = self.run_for(id, Permission::RunApprove).await?;
        let plan = self.store().plan(run.plan_hash).await?;
        let planned = plan.step(step).ok_or_else(|| Error::not_found("step"))?;
        let Some(role) = planned.approval else {
            return Err(Invalid::new("step", format!("{:?} does not wait for an approval", planned.name.as_str())).into());
        };
        self.require_role(role, Permission::RunApprove, &Resource::run(id, run.deployment_id, run.project_id)).await?;
        if !needs_are_met(&plan, &self.store().steps(id).await?, step) {
            return Err(IllegalTransition { machine: "step", from: "pending", event: "be decided on before what it needs is done" }.into());
        }
        self.command(run, Permission::RunApprove, Change::Approve { step, approved, reason }).await
    }

    /// Tries every undo of the run that failed, or was cancelled, again, and goes on with what it kept waiting.
    ///
    /// # Errors
    /// `IllegalTransition` when the run has ended in no such way.
    pub async fn retry_undo(&self, id: RunId, reason: &str) -> Result<RunView> {
        let run = self.run_for(id, Permission::RunUndo).await?;
        let reason = self.because("retried", reason);
        self.command(run, Permission::RunUndo, Change::RetryUndo { reason }).await
    }

    /// Has a step whose undo failed count as undone, and goes on with the undo of the others.
    ///
    /// # Errors
    /// `IllegalTransition` when the undo of the step has not failed, or the run has not ended.
    pub async fn skip_undo(&self, id: RunId, step: StepIndex, reason: &str) -> Result<RunView> {
        let run = self.run_for(id, Permission::RunUndo).await?;
        let reason = self.because("skipped", reason);
        self.command(run, Permission::RunUndo, Change::SkipUndo { step, reason }).await
    }

    /// A piece of the run's log, from behind `offset`, which says what is no longer kept of it.
    ///
    /// # Errors
    /// `NotFound`, also for what the principal may not read.
    pub async fn run_log(&self, id: RunId, offset: u64, max_bytes: usize) -> Result<LogPiece> {
        self.run_for(id, Permission::ProjectRead).await?;
        self.store().read_log(id, offset, max_bytes.clamp(1, 4 * 1024 * 1024)).await
    }

    /// The run, for whoever has the permission on it.
    pub(super) async fn run_for(&self, id: RunId, permission: Permission) -> Result<Run> {
        let run = self.store().run(id).await?;
        self.require(permission, &Resource::run(id, run.deployment_id, run.project_id)).await?;
        Ok(run)
    }

    fn because(&self, what: &str, reason: &str) -> String {
        let by = PrincipalRef::from(&self.principal);
        let reason: String = reason.chars().filter(|c| !c.is_control()).take(500).collect();
        if reason.is_empty() { format!("{what} by {by}") } else { format!("{what} by {by}: {reason}") }
    }

    /// Carries out a change to the run, for somebody who has the permission on it.
    async fn command(&self, run: Run, permission: Permission, change: Change) -> Result<RunView> {
        let id = run.id;
        let audit = self.allowed(permission.as_str(), format!("run {id}"), Some(run.project_id));
        let command = Command { audit: Some(Box::new(audit)), ..Command::unfenced(id, change) };
        self.eyrie.0.engine.command(command).await?;
        let view = async {
            let run = self.store().run(id).await?;
            let steps = self.store().steps(id).await?;
            Ok(RunView { run, steps })
        };
        view.await.map_err(|error: Error| {
            if !error.is_retryable() {
                return error;
            }
            // "Nothing was written" would be wrong.
            Error::new(ErrorKind::OutcomeUnknown, "read run", "it was done, and the run could not be read afterwards").with_source(error)
        })
    }

    /// What the deployment is made from, as it is known now.
    pub(super) async fn sources(&self, deployment: &Deployment) -> Result<Sources> {
        let branch = match deployment.branch_id {
            Some(branch) => Some(self.store().branch(branch).await?),
            None => None,
        };
        let image = match deployment.image_id {
            Some(image) => Some(self.store().image(image).await?),
            None => None,
        };
        Ok(Sources { branch, image })
    }

    pub(super) async fn plan(&self, deployment: &Deployment, start: &StartRun) -> Result<Plan> {
        self.plan_from(deployment, start, &self.sources(deployment).await?).await
    }

    pub(super) async fn plan_from(&self, deployment: &Deployment, start: &StartRun, sources: &Sources) -> Result<Plan> {
        let group = self.store().group(deployment.group_id).await?;
        let Some(deployment_type) = self.eyrie.0.types.get(&group.group_type) else {
            let message =
                format!("this program knows no deployment type {:?}; start the run with a plan of your own", group.group_type.as_str());
            return Err(Error::new(ErrorKind::Unsupported, "plan", message));
        };
        let service = match deployment.service_id {
            Some(service) => Some(self.store().service(service).await?),
            None => None,
        };
        let settings = self.effective_settings(deployment).await?;
        self.check_whole(&group.group_type, &settings)?;
        let last_reported = self.last_reported(deployment.id, start.kind).await?;
        deployment_type.plan(&PlanRequest {
            deployment,
            kind: start.kind,
            settings: &settings,
            service: service.as_ref(),
            branch: sources.branch.as_ref(),
            image: sources.image.as_ref(),
            context: &start.context,
            last_reported: &last_reported,
        })
    }

    /// The names of the steps that the newest successful run of that kind reported, in order.
    async fn last_reported(&self, deployment: DeploymentId, kind: RunKind) -> Result<Vec<StepName>> {
        let filter = RunFilter { deployment: Some(deployment), state: Some(RunState::Succeeded), ..RunFilter::default() };
        let runs = self.store().runs(filter, PageRequest::first(20)?).await?;
        let Some(run) = runs.items.iter().find(|run| run.kind == kind) else {
            return Ok(Vec::new());
        };
        let steps = self.store().steps(run.id).await?;
        let last_attempt = |parent: StepIndex| steps.iter().find(|step| step.index == parent).map(|step| step.attempt);
        let reported = steps.iter().filter(|step| {
            step.state == StepState::Succeeded && step.parent.is_some_and(|parent| last_attempt(parent) == Some(step.attempt))
        });
        Ok(reported.map(|step| step.name.clone()).collect())
    }

    async fn enqueue(&self, deployment: &Deployment, plan: Plan, start: StartRun) -> Result<Run> {
        let queued = self.eyrie.0.engine.enqueue(self.prepare(deployment, &plan, start).await?).await?;
        tracing::info!(run = %queued.run.id, kind = %queued.run.kind, new = queued.is_new, "run queued");
        Ok(queued.run)
    }

    /// A run as it is to be queued.
    pub(super) async fn prepare(&self, deployment: &Deployment, plan: &Plan, start: StartRun) -> Result<Enqueue> {
        let context_json = check_context(&start.context)?;
        let not_before = start.not_before.map(|at| from_micros(at.as_microsecond()));
        if not_before.is_some_and(|at| at > later(self.now(), MAX_AHEAD)) {
            return Err(Invalid::new("not_before", format!("may be at most {} days ahead", MAX_AHEAD.as_secs() / 86_400)).into());
        }
        self.eyrie.0.engine.registry().check(plan)?;
        self.check_clusters(deployment, start.kind).await?;
        let (plan, secrets) = self.pin_secrets(deployment, plan).await?;
        let default_policy = self.default_policy(deployment).await?;
        let (plan_hash, plan_json) = plan.encode()?;
        let id = RunId::new();
        let planned = plan.steps().iter().enumerate();
        let steps: Vec<_> =
            planned.map(|(place, step)| Step::pending(id, StepIndex::from_position(place), step.name.clone(), None)).collect();
        let origin = match self.principal.origin() {
            Some(origin) => origin.clone(),
            None => Origin::new(match &self.principal {
                Principal::System { .. } | Principal::Deputy { .. } => "system",
                _ => "local",
            })?,
        };
        let run = Run::from_row(RunRow {
            id,
            project_id: deployment.project_id,
            deployment_id: deployment.id,
            kind: start.kind,
            state: RunState::Queued,
            message: String::new(),
            requested_by: PrincipalRef::from(&self.principal),
            origin,
            context: Arc::new(start.context),
            resumption: None,
            plan_hash,
            first_steps: plan.first_steps(),
            step_count: u32::try_from(steps.len()).unwrap_or(u32::MAX),
            ready: false,
            not_before,
            deferred: false,
            worker_id: None,
            epoch: 0,
            last_seq: 0,
            queued_at: self.now(),
            started_at: None,
            finished_at: None,
            release_id: None,
        });
        let request_key = match start.request_key {
            None => None,
            Some(key) if key.is_empty() || key.len() > 200 || key.chars().any(char::is_control) => {
                return Err(Invalid::new("idempotency_key", "must be 1 to 200 characters without control characters").into());
            }
            Some(key) => {
                // The plan is left out: it may differ between two askings of the same thing (it names the steps expected by then).
                let mut said = format!("{}\n{}\n{context_json}", deployment.id, run.kind);
                if let Some(at) = not_before {
                    said.push_str(&format!("\nnot before {at}"));
                }
                let whose = serde_json::to_string(&run.requested_by).unwrap_or_default();
                Some(RequestKey { key: format!("{whose}\n{key}"), content: Sha256::digest(said.as_bytes()).into() })
            }
        };
        let audit = self.allowed(Permission::RunStart.as_str(), format!("run {id}"), Some(deployment.project_id));
        Ok(Enqueue { run, plan_json, steps, request_key, default_policy, secrets, supersedes: Vec::new(), audit })
    }
}

/// Refuses what cannot be passed along with a run; else the context as JSON.
pub(super) fn check_context(context: &Value) -> Result<String, Invalid> {
    if !context.is_object() {
        return Err(Invalid::new("context", "must be a JSON object"));
    }
    check_json(context, MAX_CONTEXT_DEPTH, MAX_CONTEXT, || "context".to_owned())?;
    Ok(context.to_string())
}
