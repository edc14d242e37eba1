//! Repositories and their branches.

use super::{
    fixtures::{
        audit, branch, chain, claimed, commit, deployment, done, enqueue, kept_branch, kept_group, kept_project, kept_repository, place,
        queued, refused, repository, worker,
    },
    secrets::kept_secret,
};
use crate::{
    address::GitUrl,
    error::ErrorKind,
    git::CommitId,
    id::{BranchId, DeploymentId, ProjectId, RepositoryId, SecretId},
    model::{Branch, BranchHead, Deployment, Image, Repository, RunKind, RunState},
    name::GroupType,
    store::{BranchMove, Enqueue, PageRequest, RepositoryFilter, Store},
};

/// A repository is read back as it was kept; lists have one owner, and come in the order of making.
pub async fn kept_and_found(store: &dyn Store) {
    let (first, second) = (kept_project(store, "first").await, kept_project(store, "second").await);
    let service = GroupType::new("service").unwrap();
    let secret = kept_secret(store, first.id, "git").await;
    let full = Repository {
        group_type: Some(service.clone()),
        credentials_secret_id: Some(secret.id),
        url: GitUrl::new("git@git.example.org:team/shop.git").unwrap(),
        ..repository(Some(first.id), "shop")
    };
    let (plain, elsewhere) = (repository(Some(first.id), "blog"), repository(Some(second.id), "shop"));
    let (shared, other) = (repository(None, "shop"), repository(None, "base"));
    for one in [&full, &plain, &elsewhere, &shared, &other] {
        let entry = audit("repository.create");
        done(store, &entry, store.create_repository(one, &entry).await).await;
        assert_eq!(&store.repository(one.id).await.unwrap(), one);
    }
    assert!(store.repository(RepositoryId::new()).await.unwrap_err().is_not_found());
    let entry = audit("repository.create");
    let without = Repository { credentials_secret_id: Some(SecretId::new()), ..repository(Some(first.id), "without") };
    refused(store, ErrorKind::NotFound, &entry, store.create_repository(&without, &entry).await).await;
    let entry = audit("secret.delete");
    refused(store, ErrorKind::Conflict, &entry, store.delete_secret(secret.id, &entry).await).await;
    let of = |owner| RepositoryFilter { owner, group_type: None };
    let page = store.repositories(of(Some(first.id)), PageRequest::first(1).unwrap()).await.unwrap();
    assert_eq!((page.items, page.next), (vec![full.clone()], Some(full.id.uuid())));
    let rest = store.repositories(of(Some(first.id)), PageRequest::default().after(page.next)).await.unwrap();
    assert_eq!((rest.items, rest.next), (vec![plain], None));
    assert_eq!(store.repositories(of(None), PageRequest::default()).await.unwrap().items, [shared, other]);
    let typed = RepositoryFilter { owner: Some(first.id), group_type: Some(service) };
    assert_eq!(store.repositories(typed, PageRequest::default()).await.unwrap().items, [full]);
}

/// A slug is given once within a project, and once among the operators'.
pub async fn slugs_are_unique_with_their_owner(store: &dyn Store) {
    let project = kept_project(store, "project").await;
    for owner in [Some(project.id), None] {
        kept_repository(store, owner, "shop").await;
        let (twin, entry) = (repository(owner, "shop"), audit("repository.create"));
        refused(store, ErrorKind::AlreadyExists, &entry, store.create_repository(&twin, &entry).await).await;
        assert!(store.repository(twin.id).await.unwrap_err().is_not_found());
    }
    let (astray, entry) = (repository(Some(ProjectId::new()), "shop"), audit("repository.create"));
    refused(store, ErrorKind::NotFound, &entry, store.create_repository(&astray, &entry).await).await;
}

/// An update needs the stored version and makes it one more.
pub async fn versions_guard_updates(store: &dyn Store) {
    let project = kept_project(store, "project").await;
    let shop = kept_repository(store, Some(project.id), "shop").await;
    let blog = kept_repository(store, Some(project.id), "blog").await;
    let changed = Repository { url: GitUrl::new("ssh://git@git.example.org/x").unwrap(), ..shop.clone() };
    let entry = audit("repository.update");
    done(store, &entry, store.update_repository(&changed, &entry).await).await;
    let stored = Repository { version: 2, ..changed.clone() };
    assert_eq!(store.repository(shop.id).await.unwrap(), stored);
    let late = audit("repository.update");
    refused(store, ErrorKind::Conflict, &late, store.update_repository(&changed, &late).await).await;
    let taken = Repository { slug: blog.slug.clone(), ..stored.clone() };
    refused(store, ErrorKind::AlreadyExists, &late, store.update_repository(&taken, &late).await).await;
    refused(store, ErrorKind::NotFound, &late, store.update_repository(&repository(None, "gone"), &late).await).await;
    assert_eq!(store.repository(shop.id).await.unwrap(), stored);
}

/// A repository is not deleted while an image names it or a deployment follows one of its branches; else its branches go with it. A
/// project is not deleted while it has repositories.
pub async fn in_use_is_not_deleted(store: &dyn Store) {
    let project = kept_project(store, "project").await;
    let group = kept_group(store, &project, "web").await;
    let shop = kept_repository(store, Some(project.id), "shop").await;
    let (main, idle) = (kept_branch(store, &shop, "main").await, kept_branch(store, &shop, "idle").await);
    let follower = Deployment { branch_id: Some(main.id), ..deployment(&group, "shop") };
    store.create_deployment(&follower, &audit("deployment.create")).await.unwrap();
    let entry = audit("repository.delete");
    refused(store, ErrorKind::Conflict, &entry, store.delete_repository(shop.id, &entry).await).await;
    refused(store, ErrorKind::Conflict, &entry, store.delete_branch(main.id, &entry).await).await;
    assert_eq!((store.branch(main.id).await.unwrap(), store.branch(idle.id).await.unwrap()), (main.clone(), idle.clone()));
    store.delete_deployment(follower.id, &audit("deployment.delete")).await.unwrap();

    let image = Image { repository_id: Some(shop.id), ..super::images::image(Some(project.id), "team/shop:main") };
    store.create_image(&image, &audit("image.create")).await.unwrap();
    refused(store, ErrorKind::Conflict, &entry, store.delete_repository(shop.id, &entry).await).await;
    store.delete_image(image.id, &audit("image.delete")).await.unwrap();

    store.delete_group(group.id, &audit("group.delete")).await.unwrap();
    refused(store, ErrorKind::Conflict, &entry, store.delete_project(project.id, &entry).await).await;
    let one = audit("branch.delete");
    done(store, &one, store.delete_branch(idle.id, &one).await).await;
    assert!(store.branch(idle.id).await.unwrap_err().is_not_found());
    done(store, &entry, store.delete_repository(shop.id, &entry).await).await;
    assert!(store.repository(shop.id).await.unwrap_err().is_not_found() && store.branch(main.id).await.unwrap_err().is_not_found());
    let again = audit("repository.delete");
    refused(store, ErrorKind::NotFound, &again, store.delete_repository(shop.id, &again).await).await;
    refused(store, ErrorKind::NotFound, &again, store.delete_branch(idle.id, &again).await).await;
    store.delete_project(project.id, &audit("project.delete")).await.unwrap();
}

/// Branches are read back as they were kept, once of a name in a repository.
pub async fn branches_kept_and_found(store: &dyn Store) {
    let project = kept_project(store, "project").await;
    let (shop, blog) = (kept_repository(store, Some(project.id), "shop").await, kept_repository(store, None, "blog").await);
    let known = Branch { head: Some(BranchHead { commit: commit(1), recorded_at: shop.created_at }), ..branch(&shop, "feature/ü") };
    let (unknown, elsewhere) = (branch(&shop, "main"), branch(&blog, "main"));
    for one in [&known, &unknown, &elsewhere] {
        let entry = audit("branch.create");
        done(store, &entry, store.create_branch(one, &entry).await).await;
        assert_eq!(&store.branch(one.id).await.unwrap(), one);
    }
    assert_eq!(elsewhere.project_id, None);
    let page = store.branches(shop.id, PageRequest::first(1).unwrap()).await.unwrap();
    assert_eq!((page.items, page.next), (vec![known.clone()], Some(known.id.uuid())));
    assert_eq!(store.branches(shop.id, PageRequest::default().after(page.next)).await.unwrap().items, [unknown]);
    let entry = audit("branch.create");
    refused(store, ErrorKind::AlreadyExists, &entry, store.create_branch(&branch(&shop, "main"), &entry).await).await;
    let astray = Branch { repository_id: RepositoryId::new(), ..branch(&shop, "astray") };
    refused(store, ErrorKind::NotFound, &entry, store.create_branch(&astray, &entry).await).await;
    assert!(store.branch(BranchId::new()).await.unwrap_err().is_not_found());
}

fn moving(branch: &Branch, commit: &CommitId, runs: Vec<Enqueue>) -> BranchMove {
    BranchMove { branch: branch.id, version: branch.version, commit: commit.clone(), runs, audit: audit("branch.record") }
}

/// A commit is recorded together with the runs that follow from it, which take the place of those named that have not begun.
pub async fn a_move_queues_its_runs(store: &dyn Store) {
    let (shop, other) = (place(store, "shop").await, place(store, "other").await);
    let main = kept_branch(store, &kept_repository(store, None, "shop").await, "main").await;
    let plan = chain(&["a"]);
    let current = queued(store, &shop, &plan).await;
    let begun = claimed(store, worker(store).await).await.run;
    assert_eq!(begun.id, current.id);
    let (mine, waiting) = (queued(store, &shop, &plan).await, queued(store, &shop, &plan).await);
    let foreign = queued(store, &other, &plan).await;
    let runs = vec![
        Enqueue { supersedes: vec![current.id, waiting.id, foreign.id], ..enqueue(&shop, RunKind::Deploy, &plan) },
        enqueue(&other, RunKind::Deploy, &plan),
    ];
    let to = moving(&main, &commit(1), runs);
    let moved = store.move_branch(&to).await.unwrap();
    let head = moved.now.head.clone().unwrap();
    assert_eq!(moved.now, Branch { head: Some(head.clone()), version: 2, ..main.clone() });
    assert!(head.commit == commit(1) && head.recorded_at >= main.created_at);
    assert_eq!(store.branch(main.id).await.unwrap(), moved.now);
    assert_eq!(super::fixtures::audited(store, &to.audit).await, [to.audit.clone()]);
    let ids: Vec<_> = to.runs.iter().map(|run| run.run.id).collect();
    assert_eq!(moved.queued.iter().map(|one| one.run.id).collect::<Vec<_>>(), ids);
    assert!(moved.queued.iter().all(|one| one.is_new) && !moved.queued[0].superseded.is_empty());
    for (run, state) in [
        (current.id, RunState::Running),
        (mine.id, RunState::Queued),
        (waiting.id, RunState::Cancelled),
        (foreign.id, RunState::Queued),
        (ids[0], RunState::Queued),
        (ids[1], RunState::Queued),
    ] {
        assert_eq!(store.run(run).await.unwrap().state, state);
    }
}

/// A move of what has moved already, or with a run of what is gone, leaves nothing.
pub async fn a_stale_move_leaves_nothing(store: &dyn Store) {
    let shop = place(store, "shop").await;
    let main = kept_branch(store, &kept_repository(store, None, "shop").await, "main").await;
    let plan = chain(&["a"]);
    let moved = store.move_branch(&moving(&main, &commit(1), Vec::new())).await.unwrap().now;
    let astray = Deployment { id: DeploymentId::new(), ..shop.clone() };
    for (to, kind) in [
        (moving(&main, &commit(2), vec![enqueue(&shop, RunKind::Deploy, &plan)]), ErrorKind::Conflict),
        (
            moving(&moved, &commit(2), vec![enqueue(&shop, RunKind::Deploy, &plan), enqueue(&astray, RunKind::Deploy, &plan)]),
            ErrorKind::NotFound,
        ),
        (
            moving(&Branch { id: BranchId::new(), ..main.clone() }, &commit(2), vec![enqueue(&shop, RunKind::Deploy, &plan)]),
            ErrorKind::NotFound,
        ),
    ] {
        let answer = store.move_branch(&to).await;
        refused(store, kind, &to.audit, answer).await;
        assert!(store.run(to.runs[0].run.id).await.unwrap_err().is_not_found());
        assert_eq!(store.branch(main.id).await.unwrap(), moved);
    }
}

/// Of several that say what comes next at the same time one is heard.
pub async fn moves_in_a_race(store: &dyn Store) {
    let shop = place(store, "shop").await;
    let main = kept_branch(store, &kept_repository(store, None, "shop").await, "main").await;
    let moves: Vec<_> = (1..=4).map(|n| moving(&main, &commit(n), vec![enqueue(&shop, RunKind::Deploy, &chain(&["a"]))])).collect();
    let answers = futures_util::future::join_all(moves.iter().map(|to| store.move_branch(to))).await;
    let won: Vec<_> = moves.iter().zip(&answers).filter(|(_, answer)| answer.is_ok()).map(|(to, _)| to).collect();
    assert_eq!(won.len(), 1, "{answers:?}");
    assert_eq!(store.branch(main.id).await.unwrap().head.map(|head| head.commit), Some(won[0].commit.clone()));
    let runs =
        store.runs(crate::store::RunFilter { deployment: Some(shop.id), ..Default::default() }, PageRequest::default()).await.unwrap();
    assert_eq!(runs.items.iter().map(|run| run.id).collect::<Vec<_>>(), [won[0].runs[0].run.id]);
}
