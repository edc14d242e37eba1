//! What access control costs: a decision with the grants at hand, the grants of one place from the store, and a list of ten thousand
//! deployments as an operator, who sees all of it, and as a member with five hundred overrides, who does not.
//!
//! `cargo bench -p eyrie-benches --bench access -- --store sqlite|postgres`. The last line on stdout is JSON.

use std::{
    error::Error,
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use eyrie_benches::{
    database::Database,
    options::Options,
    percentiles::{percentile_ms, round},
};
use eyrie_core::{
    Acting, Eyrie,
    access::{Decision, Permission, Role},
    id::{DeploymentId, GroupId, ProjectId, UserId},
    model::{AccessPath, Grant, Grants, NewDeployment, NewGroup, NewProject, OverrideAt, Principal},
    name::Origin,
    platform::NewUser,
    store::{AccessStore, DeploymentFilter, PageRequest},
    testing::{FaultyStore, NoFaults},
};
use eyrie_store_sea::SeaStore;
use serde_json::json;

const GROUPS: usize = 100;
const DEPLOYMENTS: usize = 10_000;
/// So many groups are hidden, and so many deployments have an override: every other one shows one that is hidden with its group.
const HIDDEN_GROUPS: usize = 20;
const OVERRIDES: usize = 480;
const CHECKS: u32 = 20_000_000;
const PAGE: u32 = 500;
const ROUNDS: usize = 10;

type Store = Arc<FaultyStore<SeaStore>>;

fn main() -> Result<(), Box<dyn Error>> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(bench())
}

async fn bench() -> Result<(), Box<dyn Error>> {
    let database = Database::new(&Options::read()?.store).await?;
    // It has no faults: it counts how often the store is asked.
    let store: Store = Arc::new(FaultyStore::new(database.open().await?, Arc::new(NoFaults)));
    println!("store: {}", database.name());
    let eyrie = Eyrie::builder(store.clone()).without_worker().start().await?;
    let operator = eyrie.acting_as(Principal::local_operator());
    let begun = Instant::now();
    let (project, groups, deployments) = fill(&operator).await?;
    let (user, member) = member(&eyrie, &operator, project, &groups, &deployments).await?;
    println!(
        "{DEPLOYMENTS} deployments in {GROUPS} groups, {} overrides, in {:.0} s",
        HIDDEN_GROUPS + OVERRIDES,
        begun.elapsed().as_secs_f64()
    );

    let check_ns = decisions();
    println!("a decision with the grants at hand: {check_ns:.1} ns");
    let mut loads = Vec::new();
    for deployment in deployments.iter().step_by(10) {
        let begun = Instant::now();
        black_box(store.grants_on_path(user, AccessPath::Deployment(project, *deployment)).await?);
        loads.push(begun.elapsed());
    }
    let (load_ms, load_p99) = (percentile_ms(&mut loads, 50.0), percentile_ms(&mut loads, 99.0));
    println!("all grants of one place, from the store: p50 {load_ms} ms, p99 {load_p99} ms");

    let all = list(&store, &operator, project).await?;
    let some = list(&store, &member, project).await?;
    let hidden = HIDDEN_GROUPS * (DEPLOYMENTS / GROUPS) - OVERRIDES / 2 + OVERRIDES / 2;
    if (all.seen, some.seen) != (DEPLOYMENTS, DEPLOYMENTS - hidden) {
        return Err(format!("{} of {DEPLOYMENTS} were listed for the operator, {} for the member", all.seen, some.seen).into());
    }
    for (who, listed) in [("an operator", &all), ("a member with overrides", &some)] {
        let Listed { seen, pages, p50, p99, calls } = listed;
        println!("a page of {PAGE} as {who}: p50 {p50} ms, p99 {p99} ms; {seen} deployments, {pages} pages, {calls} questions a page");
    }
    eyrie.shutdown().await;
    let list = |listed: &Listed| json!({ "page_p50_ms": listed.p50, "page_p99_ms": listed.p99, "seen": listed.seen, "questions_per_page": listed.calls });
    let result = json!({
        "bench": "access",
        "store": database.name(),
        "deployments": DEPLOYMENTS,
        "overrides": HIDDEN_GROUPS + OVERRIDES,
        "check_ns": round(check_ns),
        "grants_p50_ms": load_ms,
        "grants_p99_ms": load_p99,
        "operator": list(&all),
        "member": list(&some),
    });
    println!("{result}");
    Ok(())
}

async fn fill(me: &Acting) -> Result<(ProjectId, Vec<GroupId>, Vec<DeploymentId>), Box<dyn Error>> {
    let project = me.create_project(NewProject::new("large")?).await?.id;
    let (mut groups, mut deployments) = (Vec::new(), Vec::new());
    for group in 0..GROUPS {
        let group = me.create_group(project, NewGroup::new(format!("g{group}"), "own")?).await?.id;
        groups.push(group);
        for place in 0..DEPLOYMENTS / GROUPS {
            deployments.push(me.create_deployment(group, NewDeployment::new(format!("d{place}"))?).await?.id);
        }
    }
    Ok((project, groups, deployments))
}

/// A developer for whom the first groups are hidden but for some of their deployments, and some deployments of the others.
async fn member(
    eyrie: &Eyrie,
    me: &Acting,
    project: ProjectId,
    groups: &[GroupId],
    deployments: &[DeploymentId],
) -> Result<(UserId, Acting), Box<dyn Error>> {
    let user = me.create_user(NewUser { name: "member".parse()?, password: None, operator: false }).await?;
    me.set_member(project, user.id, Role::Developer).await?;
    for group in &groups[..HIDDEN_GROUPS] {
        me.set_override(OverrideAt::Group(*group), user.id, Grant::None).await?;
    }
    let (hidden, open) = deployments.split_at(HIDDEN_GROUPS * (DEPLOYMENTS / GROUPS));
    for (shown, hid) in hidden.iter().step_by(4).zip(open.iter().step_by(20)).take(OVERRIDES / 2) {
        me.set_override(OverrideAt::Deployment(*shown), user.id, Grant::Admin).await?;
        me.set_override(OverrideAt::Deployment(*hid), user.id, Grant::None).await?;
    }
    let acting = eyrie.acting_as(Principal::User { id: user.id, name: user.name, session: None, origin: Origin::new("bench")? });
    Ok((user.id, acting))
}

/// Nanoseconds for one decision, over all combinations of grants.
fn decisions() -> f64 {
    let grants = [None, Some(Grant::None), Some(Grant::User), Some(Grant::Developer), Some(Grant::Admin)];
    let roles = [None, Some(Role::User), Some(Role::Developer), Some(Role::Admin)];
    let mut all = Vec::new();
    for member in roles {
        for group in grants {
            all.extend(grants.map(|deployment| Grants { member, group, deployment, ..Grants::default() }));
        }
    }
    let (begun, mut allowed) = (Instant::now(), 0_u64);
    for place in 0..CHECKS as usize {
        let grants = black_box(&all[place % all.len()]);
        let permission = black_box(Permission::ALL[place % Permission::ALL.len()]);
        allowed += u64::from(permission.allows(Decision::of(grants).standing));
    }
    black_box(allowed);
    begun.elapsed().as_secs_f64() * 1e9 / f64::from(CHECKS)
}

/// How a list was read from its beginning to its end.
struct Listed {
    seen: usize,
    pages: usize,
    p50: f64,
    p99: f64,
    calls: f64,
}

async fn list(store: &Store, me: &Acting, project: ProjectId) -> Result<Listed, Box<dyn Error>> {
    let filter = DeploymentFilter { project: Some(project), ..DeploymentFilter::default() };
    let (mut times, mut seen, before): (Vec<Duration>, _, _) = (Vec::new(), 0, store.calls());
    for _ in 0..ROUNDS {
        let mut page = PageRequest::first(PAGE)?;
        loop {
            let begun = Instant::now();
            let part = me.deployments(filter, page).await?;
            times.push(begun.elapsed());
            seen += part.items.len();
            if part.next.is_some() && part.items.len() != PAGE as usize {
                return Err("a page that is not the last one is not full".into());
            }
            match part.next {
                Some(next) => page = page.after(Some(next)),
                None => break,
            }
        }
    }
    let calls = (store.calls() - before) as f64 / times.len() as f64;
    let pages = times.len() / ROUNDS;
    Ok(Listed {
        seen: seen / ROUNDS,
        pages,
        p50: percentile_ms(&mut times, 50.0),
        p99: percentile_ms(&mut times, 99.0),
        calls: round(calls),
    })
}
