//! Queueing runs.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use eyrie_core::{
    Error, ErrorKind, Result, Timestamp,
    id::{DeploymentId, RunId},
    model::{QueuePolicy, Run, RunEvent, RunEventBody},
    store::{self, Enqueue, Enqueued, EventRow, Needs, Newest, RequestKey},
};
use sea_orm::prelude::Uuid as Id;

#[cfg(feature = "postgres")]
use crate::run::journey::queue_in_one_journey;
use crate::{
    audit,
    entity::{
        column::{count, hash, micros, word},
        request_key, run,
    },
    error::Failure,
    rows::{
        Cell, FromRow,
        Kind::{Bool, Bytes, Int, Text, Uuid},
        RowStatement, RowTx, Rows, from_row,
    },
    run::{
        held::Guess,
        record::carry_out,
        turns::lock_deployments,
        write::{INSERT_EVENTS, INSERT_STEPS, event_row, new_step_row},
    },
    store::SeaStore,
    writer::Class,
};

static KEYS: RowStatement = RowStatement::select(request_key::Model::COLUMNS, "request_keys", &[("request_key", Text)], "");
static KEEP_KEYS: RowStatement =
    RowStatement::insert("request_keys", &[("request_key", Text), ("content", Bytes), ("run_id", Uuid), ("created_at", Int)], "");
static RUNS: RowStatement = RowStatement::select(run::Model::COLUMNS, "runs", &[("id", Uuid)], "");
pub(super) static DEPLOYMENTS: RowStatement = RowStatement::select(Place::COLUMNS, "deployments", &[("id", Uuid)], "");
static KEEP_PLANS: RowStatement = RowStatement::insert("plans", &[("hash", Bytes), ("json", Text)], "ON CONFLICT (hash) DO NOTHING");
static KEEP_PLAN_SECRETS: RowStatement =
    RowStatement::insert("plan_secrets", &[("plan_hash", Bytes), ("secret_id", Uuid), ("version", Int)], "ON CONFLICT DO NOTHING");
static KEEP_RUNS: RowStatement = RowStatement::insert(
    "runs",
    &[
        ("id", Uuid),
        ("project_id", Uuid),
        ("deployment_id", Uuid),
        ("kind", Text),
        ("state", Text),
        ("message", Text),
        ("requested_by", Text),
        ("origin", Text),
        ("context", Text),
        ("plan_hash", Bytes),
        ("first_steps", Text),
        ("step_count", Int),
        ("ready", Bool),
        ("not_before", Int),
        ("deferred", Bool),
        ("worker_id", Uuid),
        ("epoch", Int),
        ("last_seq", Int),
        ("queued_at", Int),
        ("started_at", Int),
        ("finished_at", Int),
        ("release_id", Uuid),
        ("group_id", Uuid),
        ("cluster_id", Uuid),
    ],
    "",
);
/// Runs that wait and have never begun; one that somebody begins, or ends, at this moment is passed over.
static NEVER_BEGUN: RowStatement = RowStatement::select(
    run::Head::COLUMNS,
    "runs",
    &[("deployment_id", Uuid)],
    "AND finished_at IS NULL AND state = 'queued' AND epoch = 0",
)
.taking();
static IDS: RowStatement = RowStatement::select(TakenId::COLUMNS, "runs", &[("id", Uuid)], "");

#[derive(Debug)]
struct TakenId {
    id: Id,
}

from_row!(TakenId { id });

/// A deployment, as far as queueing needs to know it. The policy is that of the nearest level that says one.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) id: Id,
    group_id: Id,
    cluster_id: Option<Id>,
    queue_policy: Option<String>,
    pub(super) has_current: bool,
}

from_row!(Place {
    id,
    group_id,
    cluster_id = "COALESCE((SELECT l.cluster_id FROM cluster_links l WHERE l.linked_id = deployments.id ORDER BY l.cluster_id LIMIT 1), \
        (SELECT l.cluster_id FROM cluster_links l WHERE l.linked_id = deployments.scope_id ORDER BY l.cluster_id LIMIT 1), \
        (SELECT l.cluster_id FROM cluster_links l WHERE l.linked_id = deployments.group_id ORDER BY l.cluster_id LIMIT 1))",
    queue_policy = "COALESCE((SELECT q.queue_policy FROM queue_rules q WHERE q.id = deployments.id), \
        (SELECT q.queue_policy FROM queue_rules q WHERE q.id = deployments.scope_id), \
        (SELECT q.queue_policy FROM queue_rules q WHERE q.id = deployments.group_id), \
        (SELECT q.queue_policy FROM queue_rules q WHERE q.id = deployments.project_id))",
    has_current = "EXISTS (SELECT 1 FROM runs c WHERE c.deployment_id = deployments.id AND c.finished_at IS NULL \
        AND (c.state <> 'queued' OR c.ready))",
});

impl Place {
    fn policy(&self, otherwise: QueuePolicy) -> Result<QueuePolicy, Failure> {
        self.queue_policy.as_deref().map_or(Ok(otherwise), word)
    }
}

/// What is known about keys: what the request said, and the run that it made.
pub(super) type Keys = HashMap<String, ([u8; 32], Run)>;

/// Queues the runs, all in one transaction.
pub(super) async fn enqueue(store: &SeaStore, runs: &[Enqueue]) -> Result<Vec<Result<Enqueued>>> {
    if runs.is_empty() {
        return Ok(Vec::new());
    }
    #[cfg(feature = "postgres")]
    if let Some(queued) = queue_in_one_journey(store, runs).await {
        return queued.map_err(|failure| failure.into_error("enqueue"));
    }
    let runs: Arc<[Enqueue]> = runs.into();
    store.rows(Class::Engine, "enqueue", move |tx| queue(tx, Arc::clone(&runs))).await
}

async fn queue(mut tx: RowTx, runs: Arc<[Enqueue]>) -> Result<Vec<Result<Enqueued>>, Failure> {
    let answers = queue_in(&mut tx, &runs).await?;
    if answers.iter().flatten().any(|queued| queued.is_new) {
        tx.commit().await?;
    }
    Ok(answers)
}

/// Queues the runs in a transaction that somebody else commits.
pub(crate) async fn queue_in(tx: &mut RowTx, runs: &[Enqueue]) -> Result<Vec<Result<Enqueued>>, Failure> {
    let at = tx.now();
    let deployments: BTreeSet<_> = runs.iter().map(|request| request.run.deployment_id).collect();
    lock_deployments(tx, deployments).await?;
    let keys = known_keys(tx, runs).await?;
    let places = tx.read(&DEPLOYMENTS, places_asked(runs)).await?;
    let ids = taken_ids(tx, runs).await?;
    let Queueing { mut answers, new, newest } = Queueing::of(runs, at, keys, places, ids)?;
    if !new.is_empty() {
        keep(tx, &new, at).await?;
        if !newest.is_empty() {
            supersede(tx, &newest, &mut answers).await?;
        }
    }
    Ok(answers)
}

/// What becomes of requests to queue runs.
pub(super) struct Queueing<'a> {
    pub(super) answers: Vec<Result<Enqueued>>,
    pub(super) new: Vec<New<'a>>,
    /// Of the deployments whose newest runs take the place of others.
    pub(super) newest: Newest,
}

impl<'a> Queueing<'a> {
    /// By what is known of the keys, the deployments and the ids that were asked for.
    pub(super) fn of(
        runs: &'a [Enqueue],
        at: Timestamp,
        mut keys: Keys,
        places: Vec<Place>,
        mut ids: HashSet<Id>,
    ) -> Result<Self, Failure> {
        let mut places: HashMap<_, _> = places.into_iter().map(|place| (place.id, place)).collect();
        let (mut answers, mut new, mut newest) = (Vec::with_capacity(runs.len()), Vec::new(), Newest::default());
        for request in runs {
            let answer = queue_one(request, at, &mut keys, &mut places, &mut ids);
            if let Ok(Enqueued { run, is_new: true, .. }) = &answer
                && let Some(place) = places.get(&run.deployment_id.uuid())
            {
                new.push((request, run.clone(), (place.group_id, place.cluster_id)));
                newest.take_for(run, &request.supersedes);
                if place.policy(request.default_policy)? == QueuePolicy::CoalesceLatest {
                    newest.take(run);
                }
            }
            answers.push(answer.map_err(|failure| failure.into_error("enqueue")));
        }
        Ok(Self { answers, new, newest })
    }
}

fn queue_one(
    request: &Enqueue,
    at: Timestamp,
    keys: &mut Keys,
    places: &mut HashMap<Id, Place>,
    ids: &mut HashSet<Id>,
) -> Result<Enqueued, Failure> {
    if let Some(RequestKey { key, content }) = &request.request_key
        && let Some((kept, run)) = keys.get(key)
    {
        if kept == content {
            return Ok(Enqueued { run: run.clone(), is_new: false, superseded: Vec::new() });
        }
        return Err(Failure::conflict("request key", "the same key was used for a request with other content"));
    }
    if ids.contains(&request.run.id.uuid()) {
        return Err(Error::new(ErrorKind::AlreadyExists, "enqueue", "a run of that id exists already").into());
    }
    let place = places.get_mut(&request.run.deployment_id.uuid()).ok_or_else(|| Failure::missing("deployment"))?;
    ids.insert(request.run.id.uuid());
    let run = store::queued(&request.run, place.has_current, at);
    place.has_current |= run.ready;
    if let Some(RequestKey { key, content }) = &request.request_key {
        keys.insert(key.clone(), (*content, run.clone()));
    }
    Ok(Enqueued { run, is_new: true, superseded: Vec::new() })
}

async fn known_keys(tx: &mut RowTx, requests: &[Enqueue]) -> Result<Keys, Failure> {
    let asked: HashSet<&str> = requests.iter().filter_map(|request| Some(request.request_key.as_ref()?.key.as_str())).collect();
    let kept: Vec<request_key::Model> = tx.read(&KEYS, asked.into_iter().map(|key| [Cell::from(key)]).collect()).await?;
    let rows: Rows = kept.iter().map(|key| [Cell::from(key.run_id)]).collect();
    let mut runs = HashMap::new();
    for row in tx.read::<run::Model>(&RUNS, rows).await? {
        let run = Run::try_from(row)?;
        runs.insert(run.id, run);
    }
    let mut keys = Keys::new();
    for key in kept {
        // A key goes with its run, perhaps since it was read.
        let Some(run) = runs.get(&RunId::from_uuid(key.run_id)).cloned() else { continue };
        keys.insert(key.request_key, (hash(key.content)?, run));
    }
    Ok(keys)
}

/// The deployments that are asked for, each once.
pub(super) fn places_asked(requests: &[Enqueue]) -> Rows {
    let asked: HashSet<DeploymentId> = requests.iter().map(|request| request.run.deployment_id).collect();
    asked.into_iter().map(|deployment| [Cell::from(deployment.uuid())]).collect()
}

/// The ids that other runs have already.
async fn taken_ids(tx: &mut RowTx, requests: &[Enqueue]) -> Result<HashSet<Id>, Failure> {
    let rows = requests.iter().map(|request| [Cell::from(request.run.id.uuid())]).collect();
    let found: Vec<TakenId> = tx.read(&IDS, rows).await?;
    Ok(found.into_iter().map(|run| run.id).collect())
}

/// A request with the run that it makes, and the group and cluster that the run counts against.
pub(super) type New<'a> = (&'a Enqueue, Run, (Id, Option<Id>));

async fn keep(tx: &mut RowTx, new: &[New<'_>], at: Timestamp) -> Result<(), Failure> {
    tx.execute_together(kept(new, at)).await?;
    Ok(())
}

/// What is kept of new runs.
pub(super) fn kept(new: &[New<'_>], at: Timestamp) -> [(&'static RowStatement, Rows); 7] {
    let plans: HashMap<_, _> = new.iter().map(|(request, run, _)| (run.plan_hash, request.plan_json.as_str())).collect();
    let plans: Rows = plans.into_iter().map(|(hash, json)| [hash.as_bytes().to_vec().into(), json.into()]).collect();
    let named = new.iter().flat_map(|(request, run, _)| request.secrets.iter().map(move |of| (run.plan_hash, *of)));
    let named: BTreeSet<_> = named.map(|(hash, of)| (hash.as_bytes().to_vec(), of)).collect();
    let named: Rows = named.into_iter().map(|(hash, of)| [hash.into(), of.id.uuid().into(), count(of.version).into()]).collect();
    let runs: Rows = new.iter().map(|(_, run, lane)| row(run::Model::from(run), *lane)).collect();
    let steps: Rows = new.iter().flat_map(|(request, ..)| &request.steps).map(new_step_row).collect();
    let events: Rows = new.iter().map(|(_, run, _)| event_row(&queued(run, at))).collect();
    let keys: Rows = new
        .iter()
        .filter_map(|(request, run, _)| Some((request.request_key.as_ref()?, run)))
        .map(|(key, run)| [key.key.as_str().into(), key.content.to_vec().into(), run.id.uuid().into(), micros(at).into()])
        .collect();
    let audit = audit::rows(new.iter().map(|(request, ..)| &request.audit));
    [
        (&KEEP_PLANS, plans),
        (&KEEP_PLAN_SECRETS, named),
        (&KEEP_RUNS, runs),
        (&INSERT_STEPS, steps),
        (&INSERT_EVENTS, events),
        (&KEEP_KEYS, keys),
        (&audit::KEEP, audit),
    ]
}

/// Ends those whose place the newest take. The answers say how their runs are afterwards.
async fn supersede(tx: &mut RowTx, newest: &Newest, answers: &mut [Result<Enqueued>]) -> Result<(), Failure> {
    let rows = newest.deployments().into_iter().map(|deployment| [Cell::from(deployment.uuid())]).collect();
    let queued: Vec<run::Head> = tx.read(&NEVER_BEGUN, rows).await?;
    let queued = queued.into_iter().map(Run::try_from).collect::<Result<Vec<_>, _>>()?;
    let superseded = newest.end(&queued);
    let commands = superseded.commands();
    let recorded = carry_out(tx, commands, Guess::nothing(Needs::of(commands))).await?.answers;
    superseded.tell(&recorded, answers);
    let rows = answers.iter().flatten().map(|answer| [Cell::from(answer.run.id.uuid())]).collect();
    let mut runs = HashMap::new();
    for row in tx.read::<run::Model>(&RUNS, rows).await? {
        runs.insert(row.id, Run::try_from(row)?);
    }
    for answer in answers.iter_mut().flatten() {
        if let Some(run) = runs.get(&answer.run.id.uuid()) {
            answer.run = run.clone();
        }
    }
    Ok(())
}

fn queued(run: &Run, at: Timestamp) -> EventRow {
    let event = RunEvent {
        run_id: run.id,
        project_id: run.project_id,
        seq: 1,
        at,
        epoch: run.epoch,
        body: RunEventBody::Run { state: run.state, message: run.message.clone() },
    };
    EventRow { event: Arc::new(event), command: None, report_id: None }
}

fn row(run: run::Model, (group, cluster): (Id, Option<Id>)) -> [Cell; 24] {
    [
        run.id.into(),
        run.project_id.into(),
        run.deployment_id.into(),
        run.kind.into(),
        run.state.into(),
        run.message.into(),
        run.requested_by.into(),
        run.origin.into(),
        run.context.into(),
        run.plan_hash.into(),
        run.first_steps.into(),
        run.step_count.into(),
        run.ready.into(),
        run.not_before.into(),
        run.deferred.into(),
        run.worker_id.into(),
        run.epoch.into(),
        run.last_seq.into(),
        run.queued_at.into(),
        run.started_at.into(),
        run.finished_at.into(),
        run.release_id.into(),
        group.into(),
        cluster.unwrap_or_default().into(),
    ]
}
