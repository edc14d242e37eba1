//! Overrides of roles.

use async_trait::async_trait;

use super::{MemoryStore, state::State, state::need};
use crate::{
    error::Result,
    id::{DeploymentId, GroupId, ProjectId, RunId, UserId},
    model::{AccessPath, AuditEntry, Deployment, Grant, Grants, OverrideAt, RoleOverride},
    store::{AccessStore, RunReader},
};

impl State {
    fn grant(&self, user: UserId, at: OverrideAt) -> Option<Grant> {
        self.overrides.get(&(at, user)).map(|given| given.role)
    }

    /// Whether the reader's overrides leave the group to be seen.
    pub(super) fn shows_group(&self, reader: Option<UserId>, group: GroupId) -> bool {
        reader.is_none_or(|user| self.grant(user, OverrideAt::Group(group)) != Some(Grant::None))
    }

    /// Whether the reader's overrides leave the deployment to be seen.
    pub(super) fn shows(&self, reader: Option<UserId>, deployment: DeploymentId) -> bool {
        let Some(user) = reader else { return true };
        match self.grant(user, OverrideAt::Deployment(deployment)) {
            Some(grant) => grant != Grant::None,
            None => self.deployments.get(&deployment).is_none_or(|deployment| self.shows_group(reader, deployment.group_id)),
        }
    }

    /// Takes away the overrides of which this is true.
    pub(super) fn drop_overrides(&mut self, gone: impl Fn(&RoleOverride) -> bool) {
        self.overrides.retain(|_, given| !gone(given));
    }
}

#[async_trait]
impl AccessStore for MemoryStore {
    async fn set_override(&self, given: &RoleOverride, audit: &AuditEntry) -> Result<()> {
        let mut state = self.state();
        match given.at {
            OverrideAt::Group(group) => need(&state.groups, group, "group")?,
            OverrideAt::Deployment(deployment) => need(&state.deployments, deployment, "deployment")?,
        }
        need(&state.members, (given.project_id, given.user_id), "member")?;
        state.overrides.insert((given.at, given.user_id), *given);
        state.note(audit);
        Ok(())
    }

    async fn remove_override(&self, at: OverrideAt, user: UserId, audit: &AuditEntry) -> Result<()> {
        let mut state = self.state();
        need(&state.overrides, (at, user), "override")?;
        state.overrides.remove(&(at, user));
        state.note(audit);
        Ok(())
    }

    async fn overrides(&self, at: OverrideAt) -> Result<Vec<RoleOverride>> {
        Ok(self.state().overrides.values().filter(|given| given.at == at).copied().collect())
    }

    async fn overrides_of(&self, project: ProjectId, user: UserId) -> Result<Vec<RoleOverride>> {
        let state = self.state();
        Ok(state.overrides.values().filter(|given| given.project_id == project && given.user_id == user).copied().collect())
    }

    async fn grants_on_path(&self, user: UserId, path: AccessPath) -> Result<Grants> {
        let state = self.state();
        let Some(account) = state.users.get(&user) else { return Ok(Grants::default()) };
        let project = path.project();
        let (is_there, group, deployment) = match path {
            AccessPath::Project(_) => (true, None, None),
            AccessPath::Group(_, id) => (state.groups.get(&id).is_some_and(|group| group.project_id == project), Some(id), None),
            AccessPath::Deployment(_, id) => match state.deployments.get(&id) {
                Some(deployment) if deployment.project_id == project => (true, Some(deployment.group_id), Some(id)),
                _ => (false, None, None),
            },
        };
        let own = Grants { operator: account.operator, disabled: account.disabled, ..Grants::default() };
        if !is_there {
            return Ok(own);
        }
        Ok(Grants {
            owner: state.projects.get(&project).is_some_and(|project| project.owner_id == Some(user)),
            member: state.members.get(&(project, user)).copied(),
            group: group.and_then(|group| state.grant(user, OverrideAt::Group(group))),
            deployment: deployment.and_then(|deployment| state.grant(user, OverrideAt::Deployment(deployment))),
            ..own
        })
    }

    async fn readable_runs(&self, reader: RunReader, runs: &[RunId]) -> Result<Vec<RunId>> {
        let state = self.state();
        let readable = |id: &&RunId| {
            let Some(run) = state.runs.get(id).map(|record| &record.run) else { return false };
            let belongs = |user: UserId| {
                let owns = state.projects.get(&run.project_id).is_some_and(|project| project.owner_id == Some(user));
                owns || state.members.contains_key(&(run.project_id, user)) && state.shows(Some(user), run.deployment_id)
            };
            let of = |fits: &dyn Fn(&Deployment) -> bool| state.deployments.get(&run.deployment_id).is_some_and(fits);
            reader.project.is_none_or(|project| project == run.project_id)
                && reader.deployment.is_none_or(|deployment| deployment == run.deployment_id)
                && reader.group.is_none_or(|group| of(&|deployment| deployment.group_id == group))
                && reader.service.is_none_or(|service| of(&|deployment| deployment.service_id == Some(service)))
                && reader.user.is_none_or(belongs)
        };
        Ok(runs.iter().filter(readable).copied().collect())
    }
}
