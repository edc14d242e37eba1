//! The audit: what is kept with a change, and refusals.

use std::time::Duration;

use super::fixtures::{
    again, audit, audited, cancel, chain, enqueue, held, kept_project, keyed, moved, place, project, queued, record, resume,
};
use crate::{
    clock::{from_micros, later},
    id::{AuditId, TokenId, UserId},
    model::{AuditEntry, PrincipalRef, RunKind, TokenKind, Verdict},
    name::{Origin, RequestId, UserName},
    store::{AuditFilter, PageRequest, Store},
};

/// A refusal, at the beginning of a minute of its own.
fn refusal() -> AuditEntry {
    AuditEntry { verdict: Verdict::Refused, at: from_micros(1_800_000_000_000_000), ..audit("run.cancel") }
}

/// Entries are listed newest first, in pages, by project and by resource.
pub async fn listed(store: &dyn Store) {
    let mut entries = Vec::new();
    let mut of_project = None;
    for place in 0..5 {
        let project = project(&format!("p{place}"));
        of_project = if place < 2 { Some(project.id) } else { of_project };
        let entry = AuditEntry { project_id: of_project, resource: format!("project {}", place % 2), ..audit("project.create") };
        store.create_project(&project, &entry).await.unwrap();
        entries.insert(0, entry);
    }
    let (mut seen, mut cursor) = (Vec::new(), None);
    for size in [2, 2, 1] {
        let page = store.audit(AuditFilter::default(), PageRequest::first(2).unwrap().after(cursor)).await.unwrap();
        assert_eq!(page.items.len(), size);
        seen.extend(page.items);
        cursor = page.next;
    }
    assert_eq!((seen, cursor), (entries.clone(), None));
    let by_project = AuditFilter { project: of_project, ..AuditFilter::default() };
    assert_eq!(store.audit(by_project.clone(), PageRequest::default()).await.unwrap().items, entries[..4]);
    let by_both = AuditFilter { resource: Some("project 0".to_owned()), ..by_project };
    let expected = [entries[0].clone(), entries[2].clone()];
    assert_eq!(store.audit(by_both, PageRequest::default()).await.unwrap().items, expected);
}

/// Each filter finds what it says, also together with others and page by page.
pub async fn filtered(store: &dyn Store) {
    let (ann, bob) = (UserId::new(), UserId::new());
    let (session, other) = (TokenId::new(), TokenId::new());
    let user = |id| PrincipalRef::User { id, name: UserName::new("somebody").unwrap() };
    let token = PrincipalRef::Token { id: other, token_kind: TokenKind::Service, created_by: Some(ann) };
    let deputy = PrincipalRef::Deputy { cause: "a schedule".to_owned(), of: Box::new(user(ann)) };
    let start = from_micros(1_800_000_000_000_000);
    let at = |seconds| later(start, Duration::from_secs(seconds));
    let made = |seconds, principal, token_id, action: &str| AuditEntry { at: at(seconds), principal, token_id, ..audit(action) };
    let request_id = Some(RequestId::new("01a2-from.outside_7").unwrap());
    let entries = [
        AuditEntry { request_id, ..made(0, user(ann), Some(session), "project.create") },
        made(1, user(bob), None, "project.create"),
        made(2, token, Some(other), "project.update"),
        made(3, deputy, None, "project.create"),
        made(4, PrincipalRef::Anonymous, None, "project.create"),
    ];
    let refused = AuditEntry { verdict: Verdict::Refused, ..made(5, user(ann), Some(session), "project.create") };
    for (place, entry) in entries.iter().enumerate() {
        store.create_project(&project(&format!("p{place}")), entry).await.unwrap();
    }
    store.record_refusal(&refused).await.unwrap();
    let all: Vec<_> = entries.into_iter().chain([refused]).collect();
    let (any, person, action) = (AuditFilter::default(), Some(ann), Some("project.create".to_owned()));
    let created = AuditFilter { person, action: action.clone(), ..any.clone() };
    for (filter, expected) in [
        (AuditFilter { person, ..any.clone() }, vec![5, 3, 2, 0]),
        (AuditFilter { person: Some(UserId::new()), ..any.clone() }, vec![]),
        (AuditFilter { token: Some(session), ..any.clone() }, vec![5, 0]),
        (AuditFilter { action: action.clone(), ..any.clone() }, vec![5, 4, 3, 1, 0]),
        (AuditFilter { verdict: Some(Verdict::Refused), ..any.clone() }, vec![5]),
        (AuditFilter { since: Some(at(2)), ..any.clone() }, vec![5, 4, 3, 2]),
        (AuditFilter { until: Some(at(2)), ..any.clone() }, vec![1, 0]),
        (AuditFilter { since: Some(at(1)), until: Some(at(4)), ..any.clone() }, vec![3, 2, 1]),
        (created.clone(), vec![5, 3, 0]),
        (AuditFilter { verdict: Some(Verdict::Allowed), since: Some(at(1)), ..created.clone() }, vec![3]),
        (AuditFilter { resource: Some(all[3].resource.clone()), ..created }, vec![3]),
    ] {
        let expected: Vec<_> = expected.into_iter().map(|place: usize| all[place].clone()).collect();
        assert_eq!(store.audit(filter.clone(), PageRequest::default()).await.unwrap().items, expected, "{filter:?}");
        assert!(all.iter().all(|entry| filter.fits(entry) == expected.contains(entry)), "{filter:?}");
        let (mut seen, mut page) = (Vec::new(), PageRequest::first(2).unwrap());
        loop {
            let read = store.audit(filter.clone(), page).await.unwrap();
            seen.extend(read.items);
            let Some(next) = read.next else { break };
            page = page.after(Some(next));
        }
        assert_eq!(seen, expected, "{filter:?} page by page");
    }
}

/// Whoever is refused all the time pushes out its own oldest refusals, and nobody else's; what was allowed stays.
pub async fn refusals_of_one_source_are_bounded(store: &dyn Store) {
    let allowed = audit("project.create");
    store.create_project(&project("one"), &allowed).await.unwrap();
    let quiet = AuditEntry { principal: PrincipalRef::Anonymous, ..refusal() };
    store.record_refusal(&quiet).await.unwrap();
    let noisy = |place| AuditEntry { id: AuditId::new(), resource: format!("run {place}"), ..refusal() };
    for place in 0..1_003 {
        store.record_refusal(&noisy(place)).await.unwrap();
    }
    let mut kept = Vec::new();
    let mut page = PageRequest::first(PageRequest::MAX).unwrap();
    loop {
        let read = store.audit(AuditFilter { action: Some(refusal().action), ..AuditFilter::default() }, page).await.unwrap();
        kept.extend(read.items);
        let Some(next) = read.next else { break };
        page = page.after(Some(next));
    }
    assert_eq!(kept.len(), 1_001);
    assert_eq!(kept.last(), Some(&quiet));
    let resources: Vec<_> = kept[..1_000].iter().map(|entry| entry.resource.clone()).collect();
    assert_eq!(resources, (3..1_003).rev().map(|place| format!("run {place}")).collect::<Vec<_>>());
    assert_eq!(audited(store, &allowed).await, [allowed]);
    // One whose line is gone has a line again.
    store.record_refusal(&noisy(0)).await.unwrap();
    let again = AuditFilter { resource: Some("run 0".to_owned()), ..AuditFilter::default() };
    assert_eq!(store.audit(again, PageRequest::default()).await.unwrap().items.len(), 1);
}

/// Refusals that are alike are counted on the first one of their minute.
pub async fn refusals_are_counted_by_the_minute(store: &dyn Store) {
    let first = refusal();
    let again = |after| AuditEntry { id: AuditId::new(), at: later(first.at, Duration::from_millis(after)), ..first.clone() };
    for entry in [first.clone(), again(1), again(59_999)] {
        store.record_refusal(&entry).await.unwrap();
    }
    assert_eq!(audited(store, &first).await, [AuditEntry { count: 3, ..first.clone() }]);
    let next_minute = again(60_000);
    store.record_refusal(&next_minute).await.unwrap();
    store.record_refusal(&again(60_001)).await.unwrap();
    let counted = [AuditEntry { count: 2, ..next_minute }, AuditEntry { count: 3, ..first.clone() }];
    assert_eq!(audited(store, &first).await, counted);
}

/// A refusal with another principal, origin, action or resource has a line of its own.
pub async fn refusals_of_others_stay_apart(store: &dyn Store) {
    let first = refusal();
    let other = |change: &dyn Fn(&mut AuditEntry)| {
        let mut entry = AuditEntry { id: AuditId::new(), ..first.clone() };
        change(&mut entry);
        entry
    };
    let mut lines = vec![
        first.clone(),
        other(&|entry| entry.principal = PrincipalRef::Anonymous),
        other(&|entry| entry.origin = Some(Origin::new("github").unwrap())),
        other(&|entry| entry.origin = None),
        other(&|entry| entry.action = "run.read".to_owned()),
        other(&|entry| entry.resource = "run 2".to_owned()),
    ];
    for entry in lines.iter().chain(&lines) {
        let entry = AuditEntry { id: if audited(store, entry).await.contains(entry) { AuditId::new() } else { entry.id }, ..entry.clone() };
        store.record_refusal(&entry).await.unwrap();
    }
    lines.reverse();
    let expected: Vec<_> = lines.into_iter().map(|entry| AuditEntry { count: 2, ..entry }).collect();
    assert_eq!(store.audit(AuditFilter::default(), PageRequest::default()).await.unwrap().items, expected);
}

/// What was allowed is never counted together, and a refusal is not counted on it.
pub async fn allowed_entries_are_not_counted(store: &dyn Store) {
    let allowed = AuditEntry { at: refusal().at, ..audit("project.create") };
    let second = AuditEntry { id: AuditId::new(), ..allowed.clone() };
    store.create_project(&project("one"), &allowed).await.unwrap();
    store.create_project(&project("two"), &second).await.unwrap();
    let refused = AuditEntry { id: AuditId::new(), verdict: Verdict::Refused, ..allowed.clone() };
    store.record_refusal(&refused).await.unwrap();
    assert_eq!(audited(store, &allowed).await, [refused, second, allowed]);
}

/// The entry of a command is committed with it, once, and not when the command is refused.
pub async fn entries_of_commands(store: &dyn Store) {
    let held = held(store, "shop", &chain(&["a"])).await;
    let premature = resume(held.run.id, "too early");
    let entry = |command: &crate::store::Command| command.audit.as_deref().unwrap().clone();
    moved(record(store, premature.clone()).await);
    assert_eq!(audited(store, &entry(&premature)).await, []);

    let asked = cancel(held.run.id, "enough");
    record(store, asked.clone()).await.unwrap();
    assert_eq!(audited(store, &entry(&asked)).await, [entry(&asked)]);
    record(store, again(&asked)).await.unwrap();
    assert_eq!(audited(store, &entry(&asked)).await, [entry(&asked)], "a repeat added a line");

    // A cancel of a run that is being cancelled writes no event; its repeat must be as harmless.
    let twice = cancel(held.run.id, "enough, I said");
    record(store, twice.clone()).await.unwrap();
    record(store, again(&twice)).await.unwrap();
    assert_eq!(audited(store, &entry(&twice)).await, [entry(&twice)]);
}

/// The entry of a run that is queued is committed with it; a doubled request leaves none.
pub async fn entries_of_queued_runs(store: &dyn Store) {
    let deployment = place(store, "shop").await;
    let plan = chain(&["a"]);
    let make = |content| keyed(enqueue(&deployment, RunKind::Deploy, &plan), "key", content);
    let (first, repeat, other) = (make(1), make(1), make(2));
    let answers = store.enqueue(&[first.clone(), repeat.clone(), other.clone()]).await.unwrap();
    assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!(audited(store, &first.audit).await, [first.audit.clone()]);
    assert_eq!(audited(store, &repeat.audit).await, [], "nothing was done, so nothing is there to be recorded");
    assert_eq!(audited(store, &other.audit).await, []);
}

/// Reading leaves nothing in the audit.
pub async fn reading_leaves_nothing(store: &dyn Store) {
    let project = kept_project(store, "project").await;
    let deployment = place(store, "shop").await;
    let run = queued(store, &deployment, &chain(&["a"])).await;
    let all = || store.audit(AuditFilter::default(), PageRequest::default());
    let before = all().await.unwrap();
    store.project(project.id).await.unwrap();
    store.run(run.id).await.unwrap();
    store.projects(None, PageRequest::default()).await.unwrap();
    store.project_by_slug(&crate::name::Slug::new("nowhere").unwrap()).await.unwrap_err();
    assert_eq!(all().await.unwrap(), before);
}
