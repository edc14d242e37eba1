//! Projects and their members.

use async_trait::async_trait;

use super::{
    MemoryStore,
    state::{State, find, free, get, need, oldest_first, same_version, unused},
};
use crate::{
    error::{Error, ErrorKind, Result},
    id::{ProjectId, UserId},
    model::{AuditEntry, Membership, Project, Role},
    name::Slug,
    store::{MemberStore, Page, PageRequest, ProjectStore},
};

impl State {
    /// Refuses to leave a project to nobody: whoever has rights as its admin must not be its last one to lose them.
    fn check_admins(&self, project: ProjectId, user: UserId, role: Option<Role>, operation: &'static str) -> Result<()> {
        let has_rights = |user: &UserId| self.users.get(user).is_some_and(|user| !user.disabled);
        let is_admin = self.members.get(&(project, user)) == Some(&Role::Admin) && has_rights(&user);
        if !is_admin || role == Some(Role::Admin) {
            return Ok(());
        }
        let owner = self.projects.get(&project).and_then(|project| project.owner_id);
        let another =
            self.members.iter().any(|((of, member), role)| *of == project && *member != user && *role == Role::Admin && has_rights(member));
        let message = "it is the last admin of a project without an owner; make somebody else admin first";
        unused(!another && !owner.is_some_and(|owner| has_rights(&owner)), operation, message)
    }

    fn check_project(&self, project: &Project, operation: &'static str) -> Result<()> {
        self.check_settings(&project.settings)?;
        let others = self.projects.values().filter(|other| other.id != project.id);
        free(others, operation, "there is a project of that slug", |other| other.slug == project.slug)?;
        project.owner_id.map_or(Ok(()), |owner| need(&self.users, owner, "user"))
    }
}

#[async_trait]
impl ProjectStore for MemoryStore {
    async fn create_project(&self, project: &Project, audit: &AuditEntry) -> Result<()> {
        const OPERATION: &str = "create project";
        let mut state = self.state();
        free(state.projects.keys(), OPERATION, "there is a project of that id", |id| *id == project.id)?;
        state.check_project(project, OPERATION)?;
        if state.used_namespaces.contains(&project.namespace.uid) {
            return Err(Error::new(ErrorKind::AlreadyExists, OPERATION, "the namespace uid was used before"));
        }
        state.used_namespaces.insert(project.namespace.uid.clone());
        state.projects.insert(project.id, project.clone());
        state.note(audit);
        Ok(())
    }

    async fn project(&self, id: ProjectId) -> Result<Project> {
        get(&self.state().projects, id, "project")
    }

    async fn project_by_slug(&self, slug: &Slug) -> Result<Project> {
        find(&self.state().projects, "project", |project| project.slug == *slug)
    }

    async fn projects(&self, member: Option<UserId>, page: PageRequest) -> Result<Page<Project>> {
        let state = self.state();
        let fits =
            |project: &Project| member.is_none_or(|user| project.owner_id == Some(user) || state.members.contains_key(&(project.id, user)));
        Ok(oldest_first(&state.projects, &page, ProjectId::from_uuid, |project| project.id.uuid(), fits))
    }

    async fn update_project(&self, project: &Project, audit: &AuditEntry) -> Result<()> {
        const OPERATION: &str = "update project";
        let mut state = self.state();
        let stored = get(&state.projects, project.id, "project")?;
        same_version(stored.version, project.version, OPERATION)?;
        state.check_project(project, OPERATION)?;
        state.projects.insert(project.id, Project { version: project.version + 1, ..project.clone() });
        state.note(audit);
        Ok(())
    }

    async fn delete_project(&self, id: ProjectId, audit: &AuditEntry) -> Result<()> {
        const OPERATION: &str = "delete project";
        let mut state = self.state();
        need(&state.projects, id, "project")?;
        unused(state.groups.values().any(|group| group.project_id == id), OPERATION, "the project has groups")?;
        unused(state.services.values().any(|service| service.project_id == id), OPERATION, "the project has services")?;
        unused(state.secrets.values().any(|secret| secret.project_id == Some(id)), OPERATION, "the project has secrets")?;
        let has_data = state.datasources.values().any(|datasource| datasource.project_id == Some(id));
        unused(has_data, OPERATION, "the project has datasources")?;
        state.cluster_grants.retain(|(_, project), _| *project != id);
        unused(state.repositories.values().any(|repository| repository.project_id == Some(id)), OPERATION, "the project has repositories")?;
        unused(state.images.values().any(|image| image.project_id == Some(id)), OPERATION, "the project has images")?;
        state.projects.remove(&id);
        state.members.retain(|(project, _), _| *project != id);
        state.drop_overrides(|given| given.project_id == id);
        state.note(audit);
        Ok(())
    }
}

#[async_trait]
impl MemberStore for MemoryStore {
    async fn set_membership(&self, membership: &Membership, audit: &AuditEntry) -> Result<()> {
        let mut state = self.state();
        need(&state.projects, membership.project_id, "project")?;
        need(&state.users, membership.user_id, "user")?;
        state.check_admins(membership.project_id, membership.user_id, Some(membership.role), "set membership")?;
        state.members.insert((membership.project_id, membership.user_id), membership.role);
        state.note(audit);
        Ok(())
    }

    async fn remove_membership(&self, project: ProjectId, user: UserId, audit: &AuditEntry) -> Result<()> {
        let mut state = self.state();
        need(&state.members, (project, user), "member")?;
        state.check_admins(project, user, None, "remove membership")?;
        state.members.remove(&(project, user));
        state.drop_overrides(|given| given.project_id == project && given.user_id == user);
        state.note(audit);
        Ok(())
    }

    async fn memberships(&self, project: ProjectId) -> Result<Vec<Membership>> {
        let state = self.state();
        let of_project = state.members.iter().filter(|((of, _), _)| *of == project);
        Ok(of_project.map(|((project_id, user_id), role)| Membership { project_id: *project_id, user_id: *user_id, role: *role }).collect())
    }
}
