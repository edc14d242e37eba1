//! Projects, their namespaces and members.

use super::fixtures::{audit, done, group, kept_group, kept_project, kept_user, project, refused, role_in, service};
use crate::{
    error::ErrorKind,
    id::{ProjectId, UserId},
    model::{Membership, Project, Role},
    name::{DisplayName, Slug},
    store::{PageRequest, Store},
};

/// A project is read back as it was kept, by id and by slug; what was never kept is not found.
pub async fn kept_and_found(store: &dyn Store) {
    let owner = kept_user(store, "owner").await;
    let (first, entry) = (Project { owner_id: Some(owner.id), ..project("first") }, audit("project.create"));
    done(store, &entry, store.create_project(&first, &entry).await).await;
    let second = kept_project(store, "second").await;
    assert_eq!(store.project(first.id).await.unwrap(), first);
    assert_eq!(store.project_by_slug(&second.slug).await.unwrap(), second);
    assert!(store.project(ProjectId::new()).await.unwrap_err().is_not_found());
    assert!(store.project_by_slug(&Slug::new("third").unwrap()).await.unwrap_err().is_not_found());
}

/// Neither a slug nor a namespace uid is given twice; the uid not even after the project is gone.
pub async fn slugs_and_namespaces_are_unique(store: &dyn Store) {
    let first = kept_project(store, "first").await;
    let entry = audit("project.create");
    refused(store, ErrorKind::AlreadyExists, &entry, store.create_project(&project("first"), &entry).await).await;
    let same_namespace = Project { namespace: first.namespace.clone(), ..project("second") };
    refused(store, ErrorKind::AlreadyExists, &entry, store.create_project(&same_namespace, &entry).await).await;
    assert!(store.project(same_namespace.id).await.unwrap_err().is_not_found());

    store.delete_project(first.id, &audit("project.delete")).await.unwrap();
    refused(store, ErrorKind::AlreadyExists, &entry, store.create_project(&same_namespace, &entry).await).await;
    let reborn = kept_project(store, "first").await;
    assert_eq!(store.project_by_slug(&first.slug).await.unwrap().id, reborn.id, "a slug is free again after its project is gone");
}

/// An update needs the stored version and makes it one more.
pub async fn versions_guard_updates(store: &dyn Store) {
    let (first, other) = (kept_project(store, "first").await, kept_project(store, "other").await);
    let (entry, name) = (audit("project.update"), DisplayName::new("Renamed").unwrap());
    let renamed = Project { name: name.clone(), ..first.clone() };
    done(store, &entry, store.update_project(&renamed, &entry).await).await;
    let stored = store.project(first.id).await.unwrap();
    assert_eq!(stored, Project { version: 2, ..renamed.clone() });
    assert_eq!(store.project(other.id).await.unwrap(), other);

    let late = audit("project.update");
    refused(store, ErrorKind::Conflict, &late, store.update_project(&renamed, &late).await).await;
    let early = Project { version: 3, ..stored.clone() };
    refused(store, ErrorKind::Conflict, &late, store.update_project(&early, &late).await).await;
    let taken = Project { slug: other.slug.clone(), ..stored.clone() };
    refused(store, ErrorKind::AlreadyExists, &late, store.update_project(&taken, &late).await).await;
    refused(store, ErrorKind::NotFound, &late, store.update_project(&project("nowhere"), &late).await).await;
    assert_eq!(store.project(first.id).await.unwrap(), stored);
}

/// A project is deleted with its memberships, but not while it has groups or services.
pub async fn in_use_is_not_deleted(store: &dyn Store) {
    let first = kept_project(store, "first").await;
    let (group, service) = (kept_group(store, &first, "group").await, service(&first, "service"));
    store.create_service(&service, &audit("service.create")).await.unwrap();
    let member = Membership { project_id: first.id, user_id: kept_user(store, "member").await.id, role: Role::User };
    store.set_membership(&member, &audit("member.set")).await.unwrap();

    let entry = audit("project.delete");
    refused(store, ErrorKind::Conflict, &entry, store.delete_project(first.id, &entry).await).await;
    store.delete_group(group.id, &audit("group.delete")).await.unwrap();
    refused(store, ErrorKind::Conflict, &entry, store.delete_project(first.id, &entry).await).await;
    assert_eq!(role_in(store, first.id, member.user_id).await, Some(Role::User));
    store.delete_service(service.id, &audit("service.delete")).await.unwrap();
    done(store, &entry, store.delete_project(first.id, &entry).await).await;

    assert!(store.project(first.id).await.unwrap_err().is_not_found());
    assert_eq!(role_in(store, first.id, member.user_id).await, None);
    assert_eq!(store.memberships(first.id).await.unwrap(), []);
    let gone = audit("project.delete");
    refused(store, ErrorKind::NotFound, &gone, store.delete_project(first.id, &gone).await).await;
    refused(store, ErrorKind::NotFound, &gone, store.create_group(&self::group(&first, "late"), &gone).await).await;
}

/// Pages come in the order of making, none twice, none left out; with a member, only its own and owned projects.
pub async fn listed_in_pages(store: &dyn Store) {
    let owner = kept_user(store, "owner").await;
    let mut all = Vec::new();
    for place in 0..5 {
        // The slugs run against the order of making.
        let owner_id = (place == 3).then_some(owner.id);
        let one = Project { owner_id, ..project(&format!("p{}", 9 - place)) };
        store.create_project(&one, &audit("project.create")).await.unwrap();
        all.push(one);
    }
    let page = PageRequest::first(2).unwrap();
    let (mut seen, mut cursor) = (Vec::new(), None);
    for size in [2, 2, 1] {
        let part = store.projects(None, page.after(cursor)).await.unwrap();
        assert_eq!(part.items.len(), size);
        seen.extend(part.items);
        cursor = part.next;
        assert_eq!(cursor.is_some(), seen.len() < 5, "a next page is named exactly when there is one");
    }
    assert_eq!(seen, all);

    let member = Membership { project_id: all[1].id, user_id: owner.id, role: Role::User };
    store.set_membership(&member, &audit("member.set")).await.unwrap();
    let own = store.projects(Some(owner.id), PageRequest::default()).await.unwrap();
    assert_eq!(own.items, [all[1].clone(), all[3].clone()]);
    assert_eq!(own.next, None);
    let cut = store.projects(Some(owner.id), PageRequest::first(1).unwrap()).await.unwrap();
    assert_eq!((cut.items, cut.next), (vec![all[1].clone()], Some(all[1].id.uuid())));
    assert_eq!(store.projects(Some(UserId::new()), PageRequest::default()).await.unwrap().items, []);
}

/// A member has one role in a project, until it is taken out.
pub async fn members(store: &dyn Store) {
    let (first, second) = (kept_project(store, "first").await, kept_project(store, "second").await);
    let (one, two) = (kept_user(store, "one").await.id, kept_user(store, "two").await.id);
    let member = |user_id, role| Membership { project_id: first.id, user_id, role };
    for membership in [member(one, Role::User), member(one, Role::Developer), member(two, Role::Admin)] {
        let entry = audit("member.set");
        done(store, &entry, store.set_membership(&membership, &entry).await).await;
    }
    assert_eq!(role_in(store, first.id, one).await, Some(Role::Developer));
    assert_eq!(role_in(store, second.id, one).await, None);
    let mut members = store.memberships(first.id).await.unwrap();
    members.sort_by_key(|member| member.user_id);
    assert_eq!(members, [member(one, Role::Developer), member(two, Role::Admin)]);

    let entry = audit("member.set");
    let nobody = member(UserId::new(), Role::User);
    refused(store, ErrorKind::NotFound, &entry, store.set_membership(&nobody, &entry).await).await;
    let nowhere = Membership { project_id: ProjectId::new(), user_id: one, role: Role::User };
    refused(store, ErrorKind::NotFound, &entry, store.set_membership(&nowhere, &entry).await).await;

    let entry = audit("member.remove");
    refused(store, ErrorKind::NotFound, &entry, store.remove_membership(second.id, one, &entry).await).await;
    done(store, &entry, store.remove_membership(first.id, one, &entry).await).await;
    assert_eq!(store.memberships(first.id).await.unwrap(), [member(two, Role::Admin)]);
    let again = audit("member.remove");
    refused(store, ErrorKind::NotFound, &again, store.remove_membership(first.id, one, &again).await).await;
}
