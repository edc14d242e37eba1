//! What is special about the store in a SQLite file.
#![allow(clippy::unwrap_used, clippy::panic)]

mod fixture;

use std::{fs, time::Duration};

use eyrie_core::{
    ErrorKind,
    id::{CommandId, RunId, WorkerId},
    model::{Plan, ReportedState, RunState, StepIndex},
    name::StepName,
    store::{
        AuditFilter, AuditStore, Change, Command, End, EventStore, PageRequest, ProjectStore, QueueOf, QueueStore, RequestKey, RunFilter,
        RunStore, StepReport, Store, WorkerStore,
    },
};
use eyrie_store_sea::{Options, SeaStore, Synchronous};
use fixture::{advance, audit, deployments, fence, project, request, url, worker};

fn is_a_store(_: &impl Store) {}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_file_is_private_durable_and_keeps_what_it_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let store = SeaStore::open(&url(&folder)).await.unwrap();
    is_a_store(&store);
    assert_eq!(store.synchronous().await.unwrap(), "full");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(folder.path().join("eyrie.db")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let one = project("one");
    store.create_project(&one, &audit("project.create")).await.unwrap();
    let again = store.create_project(&project("one"), &audit("project.create")).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::AlreadyExists);
    assert_eq!(again.to_string(), "a project of that slug exists already");
    store.close().await;
    assert_eq!(store.project(one.id).await.unwrap_err().kind(), ErrorKind::Unavailable);

    let store = SeaStore::open_with(Options::new(url(&folder)).synchronous(Synchronous::Normal)).await.unwrap();
    assert_eq!(store.synchronous().await.unwrap(), "normal");
    assert_eq!(store.project(one.id).await.unwrap(), one);
    store.delete_project(one.id, &audit("project.delete")).await.unwrap();
    let mut other = project("two");
    other.namespace = one.namespace;
    let used = store.create_project(&other, &audit("project.create")).await.unwrap_err();
    assert_eq!(used.to_string(), "a namespace of that uid exists already");
}

#[tokio::test]
async fn addresses_that_cannot_be_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let missing = format!("sqlite:{}/no/such/folder/eyrie.db", folder.path().display());
    let error = SeaStore::open(&missing).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("does not exist"), "{error}");
    assert_eq!(SeaStore::open("sqlite::memory:").await.unwrap_err().invalid().unwrap().field(), "url");
}

#[tokio::test]
async fn foreign_and_newer_files_are_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("eyrie.db");
    fs::write(&path, "This is a shopping list, and quite a long one.").unwrap();
    let error = SeaStore::open(&url(&folder)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Incompatible);
    assert!(error.to_string().contains("not a SQLite database"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"This is a shopping list, and quite a long one.");

    for (sql, says) in [
        ("CREATE TABLE bread (price integer)", "something else"),
        (
            "CREATE TABLE seaql_migrations (version varchar PRIMARY KEY, applied_at bigint); \
             INSERT INTO seaql_migrations VALUES ('m0001_base', 0), ('m9999_wings', 0)",
            "was written by a newer version (migration m9999_wings)",
        ),
    ] {
        fs::remove_file(&path).unwrap();
        let db = sea_orm::Database::connect(format!("sqlite://{}?mode=rwc", path.display())).await.unwrap();
        sea_orm::ConnectionTrait::execute_unprepared(&db, sql).await.unwrap();
        db.close().await.unwrap();
        let before = fs::read(&path).unwrap();
        let error = SeaStore::open(&url(&folder)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Incompatible);
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(fs::read(&path).unwrap(), before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_that_open_a_new_file_at_once_all_succeed() {
    let folder = tempfile::tempdir().unwrap();
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let url = url(&folder);
            tokio::spawn(async move { SeaStore::open(&url).await })
        })
        .collect();
    for task in tasks {
        let store = task.await.unwrap().unwrap();
        store.projects(None, PageRequest::default()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_stores_on_one_file_see_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (SeaStore::open(&url(&folder)).await.unwrap(), SeaStore::open(&url(&folder)).await.unwrap());
    let mut changes = here.changes();
    changes.mark_unchanged();
    tokio::time::sleep(Duration::from_millis(120)).await;
    changes.mark_unchanged();
    let one = project("one");
    there.create_project(&one, &audit("project.create")).await.unwrap();
    tokio::time::timeout(Duration::from_secs(2), changes.changed()).await.unwrap().unwrap();
    assert_eq!(here.project(one.id).await.unwrap(), one);

    // Both write at the same time.
    let write = |store: SeaStore, name: &'static str| {
        tokio::spawn(async move {
            for n in 0..40 {
                store.create_project(&project(&format!("{name}-{n}")), &audit("project.create")).await.unwrap();
            }
        })
    };
    let (a, b) = (write(here.clone(), "here"), write(there.clone(), "there"));
    a.await.unwrap();
    b.await.unwrap();
    assert_eq!(here.projects(None, PageRequest::first(500).unwrap()).await.unwrap().items.len(), 81);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_device_is_reported_and_survived() {
    let folder = tempfile::tempdir().unwrap();
    let store = SeaStore::open_with(Options::new(url(&folder)).max_pages(300)).await.unwrap();
    let mut written = 0;
    let error = loop {
        let mut big = project(&format!("p{written}"));
        big.settings = big.settings.with("text", "x".repeat(30_000)).unwrap();
        match store.create_project(&big, &audit("project.create")).await {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 100);
    };
    assert_eq!(error.kind(), ErrorKind::StorageFull, "{error:?}");
    let all = store.projects(None, PageRequest::default()).await.unwrap().items;
    assert_eq!(all.len(), written);
    // The connection goes on working.
    store.delete_project(all[0].id, &audit("project.delete")).await.unwrap();
    store.create_project(&project("small"), &audit("project.create")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_leaves_a_whole_write_or_none() {
    let folder = tempfile::tempdir().unwrap();
    let store = SeaStore::open(&url(&folder)).await.unwrap();
    let deployment = deployments(&store, 1).await.remove(0);
    let mut ids = Vec::new();
    for round in 0..60_u64 {
        let request = request(&deployment, 50);
        ids.push(request.run.id);
        let store = store.clone();
        let caller = tokio::spawn(async move { store.enqueue(&[request]).await });
        tokio::time::sleep(Duration::from_micros(round * 60)).await;
        caller.abort();
    }
    // The writes that were under way end before this one.
    store.create_project(&project("last"), &audit("project.create")).await.unwrap();
    let mut whole = 0;
    for id in ids {
        let events = store.run_events(id, 0, 10).await.unwrap().len();
        match (store.run(id).await, store.steps(id).await) {
            (Ok(_), steps) => {
                assert_eq!((steps.unwrap().len(), events), (50, 1));
                whole += 1;
            }
            (Err(error), steps) => {
                assert_eq!((error.kind(), events), (ErrorKind::NotFound, 0));
                assert_eq!(steps.unwrap_err().kind(), ErrorKind::NotFound);
            }
        }
    }
    assert!(whole > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_from_queue_to_end_and_frees_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let store = SeaStore::open(&url(&folder)).await.unwrap();
    let deployment = deployments(&store, 1).await.remove(0);
    let (first, second) = (request(&deployment, 3), request(&deployment, 3));
    let plan = Plan::decode(&first.plan_json).unwrap();
    let keyed = |mut request: eyrie_core::store::Enqueue, content: u8| {
        request.request_key = Some(RequestKey { key: "k".into(), content: [content; 32] });
        request
    };
    let third = request(&deployment, 3);
    let answers =
        store.enqueue(&[keyed(first.clone(), 1), second.clone(), keyed(third.clone(), 1), keyed(third.clone(), 2)]).await.unwrap();
    assert!(answers[0].as_ref().unwrap().is_new && answers[1].as_ref().unwrap().is_new);
    assert!(!answers[2].as_ref().unwrap().is_new);
    assert_eq!(answers[2].as_ref().unwrap().run.id, first.run.id);
    assert_eq!(answers[3].as_ref().unwrap_err().kind(), ErrorKind::Conflict);
    let again = store.enqueue(&[keyed(third.clone(), 1)]).await.unwrap();
    assert_eq!(again[0].as_ref().unwrap().run.id, first.run.id);

    let worker = worker(&store).await;
    assert!(store.poll(worker).await.unwrap().claimable);
    let claims = store.claim(worker, 10).await.unwrap();
    assert_eq!(claims.len(), 1);
    assert!(!store.poll(worker).await.unwrap().claimable);
    let claim = &claims[0];
    assert_eq!((claim.run.id, claim.run.epoch, claim.taken_over, claim.events.len()), (first.run.id, 1, false, 2));
    assert_eq!(claim.run.context, first.run.context);
    assert_eq!(store.plan(claim.run.plan_hash).await.unwrap(), plan);

    let report = |state| {
        Command::fenced(
            claim.run.id,
            fence(claim),
            Change::Report(StepReport {
                parent: None,
                report_id: Some(format!("{state:?}")),
                name: StepName::new("inner").unwrap(),
                state,
                message: String::new(),
            }),
        )
    };
    let handle = Change::KeepHandle { step: StepIndex::new(0), attempt: 1, handle: serde_json::json!({"pid": 7}) };
    let commands = [
        report(ReportedState::Running),
        Command::fenced(claim.run.id, fence(claim), handle),
        Command::unfenced(RunId::new(), Change::RequestCancel { reason: "x".into() }),
    ];
    let answers = store.record(&commands).await.unwrap();
    assert!(answers[0].is_ok() && answers[1].is_ok() && answers[2].is_err());
    let repeated = store.record(&[report(ReportedState::Running)]).await.unwrap();
    assert!(repeated[0].as_ref().unwrap().events.is_empty());
    let steps = store.steps(claim.run.id).await.unwrap();
    assert_eq!(steps.len(), 4);
    assert_eq!(steps[0].handle, Some(serde_json::json!({"pid": 7})));
    assert_eq!((steps[0].reported, steps[3].parent), (1, Some(StepIndex::new(0))));

    for place in 0..3 {
        let mut command = advance(claim, place, &plan);
        let answers = store.record(std::slice::from_ref(&command)).await.unwrap();
        let written = answers[0].as_ref().unwrap().events.clone();
        command.retried = true;
        let answers = store.record(&[command]).await.unwrap();
        assert_eq!(answers[0].as_ref().unwrap().events, written);
    }
    let run = store.run(claim.run.id).await.unwrap();
    assert_eq!(run.state, RunState::Succeeded);
    let events = store.run_events(run.id, 0, 1000).await.unwrap();
    assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), (1..=run.last_seq).collect::<Vec<_>>());
    assert!(events.last().unwrap().is_final());
    let feed = store.feed(Default::default(), 1000).await.unwrap().items;
    assert_eq!(feed.last().unwrap().cursor, store.feed_end().await.unwrap());
    let steps = store.steps(run.id).await.unwrap();
    assert_eq!(steps[2].output, Some(serde_json::json!({"n": 2})));

    let claims = store.claim(worker, 10).await.unwrap();
    assert_eq!(claims[0].run.id, second.run.id);
    let park = Change::Advance { settle: vec![], skip: vec![], start: vec![], end: Some(End::Park { message: "look".into() }) };
    let command =
        Command { id: CommandId::new(), run_id: second.run.id, fence: Some(fence(&claims[0])), change: park, retried: false, audit: None };
    store.record(&[command]).await.unwrap()[0].as_ref().unwrap();
    store.enqueue(std::slice::from_ref(&third)).await.unwrap();
    assert!(!store.poll(worker).await.unwrap().claimable, "a parked run keeps its place");
    let resume = Command::unfenced(second.run.id, Change::Resume { reason: "go".into() });
    store.record(&[resume]).await.unwrap()[0].as_ref().unwrap();
    assert_eq!(store.claim(worker, 10).await.unwrap()[0].run.id, second.run.id);
    // Cancelling one in the queue frees nobody while another run has its turn.
    let cancel = Command::unfenced(third.run.id, Change::RequestCancel { reason: "no".into() });
    store.record(&[cancel]).await.unwrap()[0].as_ref().unwrap();
    assert_eq!(store.run(third.run.id).await.unwrap().state, RunState::Cancelled);
    let newest = store.runs(RunFilter { deployment: Some(deployment.id), ..RunFilter::default() }, PageRequest::default()).await.unwrap();
    assert_eq!(newest.items.iter().map(|run| run.id).collect::<Vec<_>>(), [third.run.id, second.run.id, first.run.id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_of_a_dead_process_are_taken_over_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (dying, living) = (SeaStore::open(&url(&folder)).await.unwrap(), SeaStore::open(&url(&folder)).await.unwrap());
    let deployment = deployments(&living, 1).await.remove(0);
    living.enqueue(&[request(&deployment, 2)]).await.unwrap();
    let (a, b) = (worker(&dying).await, worker(&living).await);
    let lock = folder.path().join("eyrie.db.workers").join(format!("{a}.lock"));
    assert!(lock.exists());
    assert_eq!(dying.claim(a, 1).await.unwrap().len(), 1);
    assert!(!living.poll(b).await.unwrap().claimable);
    assert!(living.claim(b, 1).await.unwrap().is_empty(), "its holder lives");

    // The process dies: its locks are let go, its files stay.
    let copy = folder.path().join("copy.lock");
    fs::rename(&lock, &copy).unwrap();
    dying.close().await;
    fs::write(&lock, "").unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(living.poll(b).await.unwrap().claimable);
    let claims = living.claim(b, 1).await.unwrap();
    assert_eq!((claims[0].run.epoch, claims[0].taken_over), (2, true));
    assert!(!lock.exists());
    assert_eq!(living.renew_worker(a, Duration::from_secs(1)).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(living.claim(WorkerId::new(), 1).await.unwrap_err().kind(), ErrorKind::NotFound);

    living.retire_worker(b).await.unwrap();
    let c = worker(&living).await;
    assert!(living.poll(c).await.unwrap().claimable);
    assert_eq!(living.claim(c, 1).await.unwrap()[0].run.epoch, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_counted_by_the_minute() {
    let folder = tempfile::tempdir().unwrap();
    let store = SeaStore::open(&url(&folder)).await.unwrap();
    let mut entry = audit("project.read");
    entry.at = eyrie_core::Timestamp::from_second(1_700_000_000).unwrap();
    for second in [0, 1, 2, 60] {
        let mut again = audit("project.read");
        again.at = eyrie_core::Timestamp::from_second(1_700_000_000 + second).unwrap();
        store.record_refusal(&again).await.unwrap();
    }
    let kept = store.audit(AuditFilter::default(), PageRequest::default()).await.unwrap().items;
    assert_eq!(kept.iter().map(|entry| entry.count).collect::<Vec<_>>(), [1, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_queued_runs_do_not_delay_the_first_of_another_project() {
    let folder = tempfile::tempdir().unwrap();
    let store = SeaStore::open_with(Options::new(url(&folder)).synchronous(Synchronous::Normal)).await.unwrap();
    let large = deployments(&store, 20).await;
    for _ in 0..10 {
        let batch: Vec<_> = (0..1000).map(|number| request(&large[number % large.len()], 1)).collect();
        assert!(store.enqueue(&batch).await.unwrap().iter().all(Result::is_ok));
    }
    let worker = worker(&store).await;
    assert_eq!(store.claim(worker, 4).await.unwrap().len(), 4);
    let small = request(&deployments(&store, 1).await[0], 1);
    store.enqueue(std::slice::from_ref(&small)).await.unwrap().remove(0).unwrap();
    let next = store.claim(worker, 1).await.unwrap();
    assert_eq!(next[0].run.id, small.run.id, "it gets the next place, before 9,996 that were there first");
    let last = store.queue(QueueOf::Deployment(large[0].id), None, PageRequest::default()).await.unwrap();
    let place = store.in_queue(last.items[99].run.id).await.unwrap().unwrap();
    assert_eq!((place.position, place.behind), (Some(100), Some(last.items[98].run.id)));
}
