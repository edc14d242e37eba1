//! Limits: how many runs of a project, of a group and on a cluster may be under way at the same time.

use serde_json::Value;

use super::{
    clusters::{kept_cluster, kept_grant, kept_link},
    fixtures::{
        Held, advance, at, audit, cancel, chain, deployment, group, kept_deployment, kept_group, kept_project, project, queued, record,
        scope, start, succeeded, success, worker,
    },
};
use crate::{
    id::{RunId, WorkerId},
    model::{Deployment, DeploymentGroup, Linked, MAX_RUNNING, Project, Scope, Settings},
    store::{End, Fence, Store},
};

fn most(value: impl Into<Value>) -> Settings {
    Settings::default().with(MAX_RUNNING, value).unwrap()
}

async fn limited_project(store: &dyn Store, slug: &str, limit: u32) -> Project {
    let made = Project { settings: most(limit), ..project(slug) };
    store.create_project(&made, &audit("project.create")).await.unwrap();
    made
}

async fn limited_group(store: &dyn Store, of: &Project, slug: &str, limit: u32) -> DeploymentGroup {
    let made = DeploymentGroup { settings: most(limit), ..group(of, slug) };
    store.create_group(&made, &audit("group.create")).await.unwrap();
    made
}

/// Queues one run in each of so many new deployments of the group.
async fn fill(store: &dyn Store, group: &DeploymentGroup, count: usize) -> Vec<RunId> {
    let mut runs = Vec::new();
    for number in 0..count {
        let place = kept_deployment(store, group, &format!("d{number}")).await;
        runs.push(queued(store, &place, &chain(&["a"])).await.id);
    }
    runs
}

async fn given(store: &dyn Store, worker: WorkerId, room: u32) -> Vec<RunId> {
    let claimable = store.poll(worker).await.unwrap().claimable;
    let runs: Vec<_> = store.claim(worker, room).await.unwrap().into_iter().map(|claim| claim.run.id).collect();
    assert_eq!(claimable, !runs.is_empty() && room > 0, "a poll says whether a claim finds anything");
    runs
}

async fn finish(store: &dyn Store, run: RunId, worker: WorkerId) {
    let run = store.run(run).await.unwrap();
    let fence = Fence { worker, epoch: run.epoch };
    record(store, crate::store::Command::fenced(run.id, fence, advance([success(0)], [], succeeded()))).await.unwrap();
}

/// No more runs of a project are given than its limit says; each end makes room for one; others are not held up.
pub async fn of_a_project(store: &dyn Store) {
    let limited = limited_project(store, "limited", 2).await;
    let (web, jobs) = (kept_group(store, &limited, "web").await, kept_group(store, &limited, "jobs").await);
    let of_web = fill(store, &web, 3).await;
    let of_jobs = fill(store, &jobs, 1).await;
    let free = kept_group(store, &kept_project(store, "free").await, "web").await;
    let of_free = fill(store, &free, 3).await;
    let worker = worker(store).await;
    assert_eq!(given(store, worker, 10).await, [of_web[0], of_jobs[0], of_free[0], of_free[1], of_free[2]]);
    assert!(given(store, worker, 10).await.is_empty(), "what a limit holds back is not there to be claimed");
    finish(store, of_jobs[0], worker).await;
    assert_eq!(given(store, worker, 10).await, [of_web[1]]);
    finish(store, of_free[0], worker).await;
    assert!(given(store, worker, 10).await.is_empty());
}

/// The same of a group; the other groups of its project go on.
pub async fn of_a_group(store: &dyn Store) {
    let project = kept_project(store, "project").await;
    let narrow = fill(store, &limited_group(store, &project, "narrow", 1).await, 3).await;
    let wide = fill(store, &kept_group(store, &project, "wide").await, 3).await;
    let worker = worker(store).await;
    assert_eq!(given(store, worker, 3).await, [narrow[0], wide[0], wide[1]]);
    assert_eq!(given(store, worker, 3).await, [wide[2]]);
    finish(store, narrow[0], worker).await;
    assert_eq!(given(store, worker, 3).await, [narrow[1]]);
    finish(store, wide[0], worker).await;
    assert!(given(store, worker, 3).await.is_empty());
}

/// A cluster's limit counts the runs of all projects that are linked to it, as that was when the runs were queued.
pub async fn of_a_cluster(store: &dyn Store) {
    let cluster = kept_cluster(store, "shared").await.id;
    let entry = audit("cluster.limit");
    store.limit_cluster(cluster, Some(2), &entry).await.unwrap();
    assert_eq!(super::fixtures::audited(store, &entry).await, [entry.clone()]);
    assert_eq!(store.cluster_limit(cluster).await.unwrap(), Some(2));
    let mut runs = Vec::new();
    for slug in ["one", "two"] {
        let group = kept_group(store, &kept_project(store, slug).await, "web").await;
        let there = scope(&group, "there");
        store.create_scope(&there, &audit("scope.create")).await.unwrap();
        kept_grant(store, cluster, group.project_id).await;
        kept_link(store, cluster, group.project_id, Linked::Scope(there.id)).await;
        for number in 0..2 {
            let place = Deployment { scope_id: Some(there.id), ..deployment(&group, &format!("d{number}")) };
            store.create_deployment(&place, &audit("deployment.create")).await.unwrap();
            runs.push(queued(store, &place, &chain(&["a"])).await.id);
        }
        store.unlink_cluster(cluster, Linked::Scope(there.id), &audit("cluster.link")).await.unwrap();
        let beside = kept_deployment(store, &group, "beside").await;
        runs.push(queued(store, &beside, &chain(&["a"])).await.id);
    }
    let worker = worker(store).await;
    assert_eq!(given(store, worker, 10).await, [runs[0], runs[2], runs[3], runs[5]]);
    finish(store, runs[3], worker).await;
    assert_eq!(given(store, worker, 1).await, [runs[4]], "its project has the fewest under way");
    assert!(given(store, worker, 1).await.is_empty());
    store.limit_cluster(cluster, None, &audit("cluster.limit")).await.unwrap();
    assert_eq!(store.cluster_limit(cluster).await.unwrap(), None);
    assert_eq!(given(store, worker, 1).await, [runs[1]]);
}

/// A changed limit counts at the next claim; what is under way beyond it stays so.
pub async fn a_changed_limit_counts(store: &dyn Store) {
    let one = limited_project(store, "limited", 1).await;
    let web = kept_group(store, &one, "web").await;
    let runs = fill(store, &web, 6).await;
    let worker = worker(store).await;
    assert_eq!(given(store, worker, 10).await, [runs[0]]);
    store.update_project(&Project { settings: most(3), ..one.clone() }, &audit("project.update")).await.unwrap();
    assert_eq!(given(store, worker, 10).await, [runs[1], runs[2]]);
    store.update_project(&Project { settings: most(0), version: 2, ..one.clone() }, &audit("project.update")).await.unwrap();
    finish(store, runs[0], worker).await;
    assert!(given(store, worker, 10).await.is_empty(), "with a limit of none, nothing begins");
    store.update_group(&DeploymentGroup { settings: most(3), ..web }, &audit("group.update")).await.unwrap();
    store.update_project(&Project { settings: most(Value::Null), version: 3, ..one }, &audit("project.update")).await.unwrap();
    assert_eq!(given(store, worker, 10).await, [runs[3]], "both limits count");
}

/// What is taken over counts, and is never refused; a run that goes on after it was set aside has to fit in again.
pub async fn takeover_and_return(store: &dyn Store) {
    let limited = limited_project(store, "limited", 1).await;
    let web = kept_group(store, &limited, "web").await;
    let runs = fill(store, &web, 2).await;
    let gone = worker(store).await;
    assert_eq!(given(store, gone, 10).await, [runs[0]]);
    store.update_project(&Project { settings: most(0), ..limited.clone() }, &audit("project.update")).await.unwrap();
    store.retire_worker(gone).await.unwrap();
    let worker = worker(store).await;
    assert_eq!(given(store, worker, 10).await, [runs[0]]);
    store.update_project(&Project { settings: most(1), version: 2, ..limited }, &audit("project.update")).await.unwrap();
    assert!(given(store, worker, 10).await.is_empty());

    let run = store.run(runs[0]).await.unwrap();
    let held = Held { deployment: store.deployment(run.deployment_id).await.unwrap(), fence: Fence { worker, epoch: 2 }, run };
    held.change(store, advance([], [], Some(End::Park { message: "decide".to_owned() }))).await.unwrap();
    assert_eq!(given(store, worker, 10).await, [runs[1]], "what is set aside is not under way");
    record(store, super::fixtures::resume(runs[0], "go on")).await.unwrap();
    assert!(given(store, worker, 10).await.is_empty());
    finish(store, runs[1], worker).await;
    assert_eq!(given(store, worker, 10).await, [runs[0]]);
    record(store, cancel(runs[0], "no")).await.unwrap();
    let late = kept_deployment(store, &web, "late").await;
    let late = queued(store, &late, &chain(&["a", "b"])).await.id;
    assert!(given(store, worker, 10).await.is_empty(), "a run that is being cancelled is under way");
    let again = Held { fence: Fence { epoch: 3, ..held.fence }, ..held };
    let stopped = advance([], [], Some(End::Cancel { message: String::new() }));
    let settled = advance([super::fixtures::settle(0, 1, crate::store::Settlement::Cancelled)], [], None);
    again.change(store, settled).await.unwrap();
    again.change(store, stopped).await.unwrap();
    assert_eq!(given(store, worker, 10).await, [late]);
    // A run that goes on from step to step is not asked again.
    let going = crate::store::Command::fenced(late, Fence { worker, epoch: 1 }, advance([success(0)], [start(1)], None));
    assert_eq!(record(store, going).await.unwrap().started[0].0, at(1));
}

/// However many claim at the same time, together they get what the limit says.
pub async fn claims_in_a_race(store: &dyn Store) {
    let limited = limited_project(store, "limited", 5).await;
    let web = fill(store, &limited_group(store, &limited, "web", 4).await, 8).await;
    let jobs = fill(store, &kept_group(store, &limited, "jobs").await, 8).await;
    let mut workers = Vec::new();
    for _ in 0..6 {
        workers.push(worker(store).await);
    }
    let answers = futures_util::future::join_all(workers.iter().map(|worker| store.claim(*worker, 2))).await;
    let held: Vec<_> = answers.into_iter().flat_map(|answer| answer.unwrap()).map(|claim| claim.run.id).collect();
    assert_eq!(held.len(), 5, "{held:?}");
    assert!(held.iter().filter(|run| web.contains(run)).count() <= 4);
    assert!(held.iter().all(|run| web.contains(run) || jobs.contains(run)));
}

/// Limits go with what they are of.
pub async fn gone_with_their_owner(store: &dyn Store) {
    let limited = limited_project(store, "limited", 0).await;
    let narrow = limited_group(store, &limited, "narrow", 0).await;
    let there = Scope { settings: Settings::default().with("queue_policy", "coalesce_latest").unwrap(), ..scope(&narrow, "there") };
    store.create_scope(&there, &audit("scope.create")).await.unwrap();
    store.delete_group(narrow.id, &audit("group.delete")).await.unwrap();
    store.delete_project(limited.id, &audit("project.delete")).await.unwrap();
    // The same ids once more, with nothing to hold them back.
    store.create_project(&Project { settings: Settings::default(), ..project("free") }, &audit("project.create")).await.unwrap();
    let free = Project { id: limited.id, settings: Settings::default(), ..project("again") };
    store.create_project(&free, &audit("project.create")).await.unwrap();
    store.create_group(&DeploymentGroup { settings: Settings::default(), ..narrow.clone() }, &audit("group.create")).await.unwrap();
    store.create_scope(&Scope { settings: Settings::default(), ..there.clone() }, &audit("scope.create")).await.unwrap();
    let shop = Deployment { scope_id: Some(there.id), ..deployment(&narrow, "shop") };
    store.create_deployment(&shop, &audit("deployment.create")).await.unwrap();
    let runs = [queued(store, &shop, &chain(&["a"])).await.id, queued(store, &shop, &chain(&["a"])).await.id];
    let worker = worker(store).await;
    assert_eq!(given(store, worker, 10).await, [runs[0]]);
}
