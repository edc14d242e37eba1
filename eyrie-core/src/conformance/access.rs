//! Overrides of roles, all that counts on a path, and lists that leave out what an override hides.

use super::fixtures::{
    advance, audit, chain, done, held_in, kept_deployment, kept_group, kept_project, kept_user, planned_release, queued, refused, role_in,
    success,
};
use crate::{
    error::ErrorKind,
    id::{DeploymentId, GroupId, ProjectId, RunId, UserId},
    model::{AccessPath, Deployment, DeploymentGroup, Grant, Grants, Membership, OverrideAt, Project, Role, RoleOverride, RunKind, User},
    store::{DeployedServiceFilter, DeploymentFilter, End, PageRequest, QueueOf, RunFilter, RunReader, Store},
};

async fn joined(store: &dyn Store, project: &Project, name: &str, role: Role) -> UserId {
    let user_id = kept_user(store, name).await.id;
    let membership = Membership { project_id: project.id, user_id, role };
    store.set_membership(&membership, &audit("member.edit")).await.unwrap();
    user_id
}

fn given(project: &Project, at: OverrideAt, user_id: UserId, role: Grant) -> RoleOverride {
    RoleOverride { project_id: project.id, at, user_id, role }
}

async fn set(store: &dyn Store, project: &Project, at: OverrideAt, user: UserId, role: Grant) -> RoleOverride {
    let (given, entry) = (given(project, at, user, role), audit("member.edit"));
    done(store, &entry, store.set_override(&given, &entry).await).await;
    given
}

/// An override is kept, changed and taken away; it needs its place and a membership.
pub async fn kept_and_changed(store: &dyn Store) {
    let project = kept_project(store, "first").await;
    let group = kept_group(store, &project, "web").await;
    let deployment = kept_deployment(store, &group, "shop").await;
    let (ann, bob) = (joined(store, &project, "ann", Role::User).await, joined(store, &project, "bob", Role::Developer).await);
    let (at_group, at_deployment) = (OverrideAt::Group(group.id), OverrideAt::Deployment(deployment.id));
    set(store, &project, at_group, ann, Grant::Admin).await;
    let changed = set(store, &project, at_group, ann, Grant::None).await;
    let other = set(store, &project, at_group, bob, Grant::User).await;
    let single = set(store, &project, at_deployment, ann, Grant::Developer).await;
    let mut at = store.overrides(at_group).await.unwrap();
    at.sort_by_key(|given| given.user_id);
    assert_eq!(at, [changed, other]);
    assert_eq!(store.overrides(at_deployment).await.unwrap(), [single]);
    assert_eq!(store.overrides_of(project.id, ann).await.unwrap(), [changed, single]);
    assert_eq!(store.overrides_of(ProjectId::new(), ann).await.unwrap(), []);

    let entry = audit("member.edit");
    let stranger = kept_user(store, "stranger").await.id;
    for astray in [
        given(&project, at_group, stranger, Grant::User),
        given(&project, at_deployment, stranger, Grant::User),
        given(&project, at_group, UserId::new(), Grant::User),
        given(&project, OverrideAt::Group(GroupId::new()), ann, Grant::User),
        given(&project, OverrideAt::Deployment(DeploymentId::new()), ann, Grant::User),
    ] {
        refused(store, ErrorKind::NotFound, &entry, store.set_override(&astray, &entry).await).await;
    }
    refused(store, ErrorKind::NotFound, &entry, store.remove_override(at_deployment, bob, &entry).await).await;
    done(store, &entry, store.remove_override(at_group, ann, &entry).await).await;
    assert_eq!(store.overrides(at_group).await.unwrap(), [other]);
    let again = audit("member.edit");
    refused(store, ErrorKind::NotFound, &again, store.remove_override(at_group, ann, &again).await).await;
}

/// Overrides end with the membership, and with what they stand at; nothing else takes them along.
pub async fn gone_with_what_they_stand_on(store: &dyn Store) {
    let (project, elsewhere) = (kept_project(store, "first").await, kept_project(store, "second").await);
    let group = kept_group(store, &project, "web").await;
    let (shop, blog) = (kept_deployment(store, &group, "shop").await, kept_deployment(store, &group, "blog").await);
    let foreign = kept_group(store, &elsewhere, "web").await;
    let (ann, bob) = (joined(store, &project, "ann", Role::User).await, joined(store, &project, "bob", Role::User).await);
    store.set_membership(&Membership { project_id: elsewhere.id, user_id: ann, role: Role::User }, &audit("member.edit")).await.unwrap();
    let kept = set(store, &elsewhere, OverrideAt::Group(foreign.id), ann, Grant::Admin).await;
    for user in [ann, bob] {
        for at in [OverrideAt::Group(group.id), OverrideAt::Deployment(shop.id), OverrideAt::Deployment(blog.id)] {
            set(store, &project, at, user, Grant::Developer).await;
        }
    }
    let raised = Membership { project_id: project.id, user_id: ann, role: Role::Developer };
    store.set_membership(&raised, &audit("member.edit")).await.unwrap();
    assert_eq!(store.overrides_of(project.id, ann).await.unwrap().len(), 3, "another role in the project leaves them");
    store.remove_membership(project.id, ann, &audit("member.edit")).await.unwrap();
    assert_eq!(store.overrides_of(project.id, ann).await.unwrap(), []);
    store.set_membership(&raised, &audit("member.edit")).await.unwrap();
    assert_eq!(store.overrides_of(project.id, ann).await.unwrap(), [], "whoever comes back begins anew");
    assert_eq!(store.overrides_of(elsewhere.id, ann).await.unwrap(), [kept]);

    assert_eq!(store.overrides_of(project.id, bob).await.unwrap().len(), 3);
    store.delete_deployment(shop.id, &audit("deployment.delete")).await.unwrap();
    assert_eq!(store.overrides(OverrideAt::Deployment(shop.id)).await.unwrap(), []);
    store.delete_deployment(blog.id, &audit("deployment.delete")).await.unwrap();
    assert_eq!(store.overrides_of(project.id, bob).await.unwrap().len(), 1);
    store.delete_group(group.id, &audit("group.delete")).await.unwrap();
    assert_eq!(store.overrides_of(project.id, bob).await.unwrap(), []);
    store.delete_project(project.id, &audit("project.delete")).await.unwrap();
    assert_eq!(store.overrides_of(elsewhere.id, ann).await.unwrap(), [kept]);
}

/// All that counts at a place comes with one question: the account, the owner, and one grant a level; of others nothing.
pub async fn all_that_counts_on_a_path(store: &dyn Store) {
    let owner = kept_user(store, "owner").await;
    let project = Project { owner_id: Some(owner.id), ..super::fixtures::project("first") };
    store.create_project(&project, &audit("project.create")).await.unwrap();
    let (web, api) = (kept_group(store, &project, "web").await, kept_group(store, &project, "api").await);
    let (shop, blog) = (kept_deployment(store, &web, "shop").await, kept_deployment(store, &web, "blog").await);
    let ann = joined(store, &project, "ann", Role::User).await;
    set(store, &project, OverrideAt::Group(web.id), ann, Grant::None).await;
    set(store, &project, OverrideAt::Deployment(shop.id), ann, Grant::Admin).await;

    let member = Grants { member: Some(Role::User), ..Grants::default() };
    let in_web = Grants { group: Some(Grant::None), ..member };
    for (path, expected) in [
        (AccessPath::Project(project.id), member),
        (AccessPath::Group(project.id, web.id), in_web),
        (AccessPath::Group(project.id, api.id), member),
        (AccessPath::Deployment(project.id, shop.id), Grants { deployment: Some(Grant::Admin), ..in_web }),
        (AccessPath::Deployment(project.id, blog.id), in_web),
    ] {
        assert_eq!(store.grants_on_path(ann, path).await.unwrap(), expected, "{path:?}");
        let owns = Grants { owner: true, ..Grants::default() };
        assert_eq!(store.grants_on_path(owner.id, path).await.unwrap(), owns, "{path:?}");
        assert_eq!(store.grants_on_path(UserId::new(), path).await.unwrap(), Grants::default());
    }

    let elsewhere = kept_project(store, "second").await;
    let disabled = User { disabled: true, operator: true, ..store.user(ann).await.unwrap() };
    store.update_user(&disabled, false, &audit("user.update")).await.unwrap();
    let account = Grants { disabled: true, operator: true, ..Grants::default() };
    for path in [
        AccessPath::Project(elsewhere.id),
        AccessPath::Project(ProjectId::new()),
        AccessPath::Group(elsewhere.id, web.id),
        AccessPath::Group(project.id, GroupId::new()),
        AccessPath::Deployment(elsewhere.id, shop.id),
        AccessPath::Deployment(project.id, DeploymentId::new()),
    ] {
        assert_eq!(store.grants_on_path(ann, path).await.unwrap(), account, "a place that is not there: {path:?}");
    }
    let here = store.grants_on_path(ann, AccessPath::Project(project.id)).await.unwrap();
    assert_eq!(here, Grants { member: Some(Role::User), ..account });
}

/// The last admin of a project without an owner who has rights is neither lowered nor taken out; a disabled one does not count.
pub async fn the_last_admin_stays(store: &dyn Store) {
    let project = kept_project(store, "first").await;
    let ann = joined(store, &project, "ann", Role::Admin).await;
    let bob = joined(store, &project, "bob", Role::Admin).await;
    let lowered = |user_id| Membership { project_id: project.id, user_id, role: Role::Developer };
    let disable = async |id: UserId, disabled: bool| {
        let user = store.user(id).await.unwrap();
        store.update_user(&User { disabled, ..user }, false, &audit("user.update")).await.unwrap();
    };
    disable(bob, true).await;
    let entry = audit("member.edit");
    refused(store, ErrorKind::Conflict, &entry, store.set_membership(&lowered(ann), &entry).await).await;
    refused(store, ErrorKind::Conflict, &entry, store.remove_membership(project.id, ann, &entry).await).await;
    assert_eq!(role_in(store, project.id, ann).await, Some(Role::Admin));
    done(store, &entry, store.set_membership(&Membership { role: Role::Admin, ..lowered(ann) }, &entry).await).await;
    let other = audit("member.edit");
    done(store, &other, store.remove_membership(project.id, bob, &other).await).await;

    // Of two who take each other out at the same time, one stays.
    disable(bob, false).await;
    store.set_membership(&Membership { role: Role::Admin, ..lowered(bob) }, &audit("member.edit")).await.unwrap();
    let entry = audit("member.edit");
    let (one, two) = futures_util::join!(store.remove_membership(project.id, ann, &entry), async {
        store.set_membership(&lowered(bob), &audit("member.edit")).await
    });
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
    let kept = store.memberships(project.id).await.unwrap();
    assert_eq!(kept.iter().filter(|member| member.role == Role::Admin).count(), 1);

    // With an owner there is somebody left, unless the owner is disabled.
    let last = kept.iter().find(|member| member.role == Role::Admin).unwrap().user_id;
    let owner = kept_user(store, "owner").await.id;
    store.update_project(&Project { owner_id: Some(owner), ..project.clone() }, &audit("project.update")).await.unwrap();
    disable(owner, true).await;
    let entry = audit("member.edit");
    refused(store, ErrorKind::Conflict, &entry, store.remove_membership(project.id, last, &entry).await).await;
    disable(owner, false).await;
    done(store, &entry, store.remove_membership(project.id, last, &entry).await).await;
}

/// A project with a reader for whom one group and some deployments are hidden, in this order: seen, hidden with its group, raised in a
/// hidden group, hidden by itself.
struct Hidden {
    project: Project,
    groups: [DeploymentGroup; 2],
    deployments: Vec<Deployment>,
    reader: UserId,
}

const SEEN: [bool; 4] = [true, false, true, false];

impl Hidden {
    async fn new(store: &dyn Store) -> Self {
        let project = kept_project(store, "first").await;
        let groups = [kept_group(store, &project, "open").await, kept_group(store, &project, "closed").await];
        let mut deployments = Vec::new();
        for (group, slug) in [(0, "seen"), (1, "hidden"), (1, "raised"), (0, "lowered")] {
            deployments.push(kept_deployment(store, &groups[group], slug).await);
        }
        let reader = joined(store, &project, "reader", Role::User).await;
        let other = joined(store, &project, "other", Role::User).await;
        set(store, &project, OverrideAt::Group(groups[1].id), reader, Grant::None).await;
        set(store, &project, OverrideAt::Deployment(deployments[2].id), reader, Grant::User).await;
        set(store, &project, OverrideAt::Deployment(deployments[3].id), reader, Grant::None).await;
        // What others may not see does not matter.
        set(store, &project, OverrideAt::Group(groups[0].id), other, Grant::None).await;
        set(store, &project, OverrideAt::Deployment(deployments[0].id), other, Grant::None).await;
        Self { project, groups, deployments, reader }
    }

    fn seen(&self) -> Vec<DeploymentId> {
        self.deployments.iter().zip(SEEN).filter(|(_, seen)| *seen).map(|(deployment, _)| deployment.id).collect()
    }
}

/// Lists of groups and deployments leave out what is hidden, and their pages are full all the same.
pub async fn hidden_from_lists(store: &dyn Store) {
    let Hidden { project, groups, deployments, reader } = &Hidden::new(store).await;
    let page = PageRequest::default();
    let listed = store.groups(project.id, Some(*reader), page).await.unwrap().items;
    assert_eq!(listed, [groups[0].clone()]);
    assert_eq!(store.groups(project.id, None, page).await.unwrap().items.len(), 2);
    let filter = DeploymentFilter { project: Some(project.id), ..DeploymentFilter::default() };
    assert_eq!(store.deployments(filter, page).await.unwrap().items.len(), 4);
    let filter = DeploymentFilter { reader: Some(*reader), ..filter };
    let listed = store.deployments(filter, page).await.unwrap().items;
    assert_eq!(listed, [deployments[0].clone(), deployments[2].clone()]);
    let two = store.deployments(filter, PageRequest::first(2).unwrap()).await.unwrap();
    assert_eq!((two.items.len(), two.next), (2, None), "a page is full although something in between is hidden");
    let one = store.deployments(filter, PageRequest::first(1).unwrap()).await.unwrap();
    let rest = store.deployments(filter, PageRequest::first(1).unwrap().after(one.next)).await.unwrap();
    assert_eq!((rest.items, rest.next), (vec![deployments[2].clone()], None));
}

/// So do lists of runs, the queue of a project, and what the feed asks.
pub async fn hidden_runs(store: &dyn Store) {
    let hidden = Hidden::new(store).await;
    let Hidden { project, deployments, reader, .. } = &hidden;
    let mut runs = Vec::new();
    for deployment in deployments {
        runs.push(queued(store, deployment, &chain(&["a"])).await);
    }
    let seen = hidden.seen();
    let filter = RunFilter { project: Some(project.id), reader: Some(*reader), ..RunFilter::default() };
    let listed = store.runs(filter, PageRequest::default()).await.unwrap().items;
    assert_eq!(listed.iter().rev().map(|run| run.deployment_id).collect::<Vec<_>>(), seen);
    let of = QueueOf::Project(project.id);
    let queue = store.queue(of, Some(*reader), PageRequest::default()).await.unwrap();
    assert_eq!(queue.items.iter().map(|one| one.run.deployment_id).collect::<Vec<_>>(), seen);
    let first = store.queue(of, Some(*reader), PageRequest::first(1).unwrap()).await.unwrap();
    let rest = store.queue(of, Some(*reader), PageRequest::first(1).unwrap().after(first.next)).await.unwrap();
    assert_eq!((rest.items[0].run.deployment_id, rest.next), (seen[1], None));
    assert_eq!(store.queue(of, None, PageRequest::default()).await.unwrap().items.len(), 4);

    let foreign = kept_deployment(store, &kept_group(store, &kept_project(store, "second").await, "web").await, "shop").await;
    let foreign = queued(store, &foreign, &chain(&["a"])).await;
    let all: Vec<RunId> = runs.iter().chain([&foreign]).map(|run| run.id).chain([RunId::new()]).collect();
    let readable = async |reader: RunReader| {
        let mut readable = store.readable_runs(reader, &all).await.unwrap();
        readable.sort_unstable();
        readable
    };
    let any = RunReader::default();
    let of = |places: &[usize]| places.iter().map(|place| all[*place]).collect::<Vec<_>>();
    assert_eq!(readable(any).await, of(&[0, 1, 2, 3, 4]), "a run that is not there may be seen by nobody");
    assert_eq!(readable(RunReader { user: Some(*reader), ..any }).await, of(&[0, 2]));
    assert_eq!(readable(RunReader { user: Some(UserId::new()), ..any }).await, []);
    assert_eq!(readable(RunReader { project: Some(foreign.project_id), ..any }).await, of(&[4]));
    assert_eq!(readable(RunReader { project: Some(foreign.project_id), user: Some(*reader), ..any }).await, []);
    assert_eq!(readable(RunReader { deployment: Some(deployments[1].id), ..any }).await, of(&[1]));
    assert_eq!(store.readable_runs(any, &[]).await.unwrap(), []);
    store.update_project(&Project { owner_id: Some(*reader), ..project.clone() }, &audit("project.update")).await.unwrap();
    assert_eq!(readable(RunReader { user: Some(*reader), ..any }).await, of(&[0, 1, 2, 3]), "an owner sees all of it");
}

/// So do lists of what is deployed.
pub async fn hidden_deployed_services(store: &dyn Store) {
    let hidden = Hidden::new(store).await;
    for deployment in &hidden.deployments {
        let held = held_in(store, deployment, RunKind::Deploy, &chain(&["a"])).await;
        let end = Some(End::Succeed { release: Some(planned_release(true)) });
        held.change(store, advance([success(0)], [], end)).await.unwrap();
    }
    let filter = DeployedServiceFilter { project: Some(hidden.project.id), ..DeployedServiceFilter::default() };
    assert_eq!(store.deployed_services(filter, PageRequest::default()).await.unwrap().items.len(), 4);
    let filter = DeployedServiceFilter { reader: Some(hidden.reader), ..filter };
    let listed = store.deployed_services(filter, PageRequest::default()).await.unwrap().items;
    assert_eq!(listed.iter().map(|service| service.deployment_id).collect::<Vec<_>>(), hidden.seen());
}
