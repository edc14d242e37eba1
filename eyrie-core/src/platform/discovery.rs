//! Discovery: what is deployed, and where it can be reached, for proxies and scrapers.

use std::collections::{HashMap, hash_map::Entry};

use serde::{Deserialize, Serialize};

use crate::{
    access::{Permission, TokenSecret},
    clock::Timestamp,
    error::{Error, ErrorKind, Result},
    id::{DeployedServiceId, DeploymentId, GroupId, ProjectId, ReleaseId, ScopeId, UserId},
    model::{
        DeployedService, DeployedState, Deployment, DeploymentGroup, EffectiveSettings, Level, Principal, Project, Reachable, Scope, Token,
        TokenBinding, TokenKind,
    },
    name::{DisplayName, GroupType, Origin, Slug},
    platform::{
        Acting, Resource,
        token::{Issue, life},
    },
    store::{DeployedServiceFilter, DeploymentFilter, PageRequest},
};

/// The most deployed services that are listed.
const MAX_DISCOVERED: usize = 10_000;

/// What a discovery token lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiscoveryTarget {
    /// What is deployed in a project.
    Project(ProjectId),
    /// What is deployed anywhere.
    Everything,
}

/// What a new discovery token needs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewDiscoveryToken {
    /// A name to recognise it by.
    pub name: DisplayName,
    /// What it lists.
    pub target: DiscoveryTarget,
    /// From where it will be used.
    pub origin: Origin,
    /// How long it lasts: 1 to 180 days.
    pub days: u16,
}

/// Something that is deployed, with where it can be reached.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DiscoveredService {
    /// What runs.
    pub deployed_service_id: DeployedServiceId,
    /// Whether it runs.
    pub state: DeployedState,
    /// The slug of its project.
    pub project: Slug,
    /// The slug of its group.
    pub group: Slug,
    /// Its type.
    pub deployment_type: GroupType,
    /// The slug of its scope.
    pub scope: Option<Slug>,
    /// The slug of its deployment.
    pub deployment: Slug,
    /// Its deployment.
    pub deployment_id: DeploymentId,
    /// The release that it is.
    pub release_id: ReleaseId,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Where it can be reached, as its settings say now.
    #[serde(flatten)]
    pub reachable: Reachable,
}

/// What has been read on the way.
#[derive(Debug, Default)]
struct Known {
    groups: HashMap<GroupId, DeploymentGroup>,
    scopes: HashMap<ScopeId, Scope>,
}

impl Acting {
    /// Makes a discovery token, and answers with its secret, once. All that it can do is [`discover`](Self::discover), as long as
    /// whoever made it may read what it lists.
    ///
    /// # Errors
    /// `Invalid` unless it lasts 1 to 180 days; `Denied` for one that lists everything, unless an operator makes it.
    pub async fn create_discovery_token(&self, new: NewDiscoveryToken) -> Result<(TokenSecret, Token)> {
        let (binding, project) = match new.target {
            DiscoveryTarget::Project(project) => {
                self.require(Permission::TokenCreate, &Resource::project(project)).await?;
                // A token for a project that does not exist would wait for one.
                self.store().project(project).await?;
                (TokenBinding::Project(project), Some(project))
            }
            DiscoveryTarget::Everything => {
                self.require_everywhere(Permission::UserManage, "discovery of everything").await?;
                (TokenBinding::Everything, None)
            }
        };
        let issue = Issue {
            kind: TokenKind::Discovery,
            name: new.name,
            binding,
            project_id: project,
            created_by: self.own_user(),
            origin: new.origin,
            life: life(new.days)?,
        };
        let (secret, token) = issue.at(self.now())?;
        self.keep_token(&token).await?;
        Ok((secret, token))
    }

    /// What is deployed and in that state, project by project, each in the order of its making: in a project, or in all of them for a
    /// token that lists everything, and for operators.
    ///
    /// # Errors
    /// `NotFound` for what the principal may not read; `LimitExceeded` when there are more than 10,000.
    pub async fn discover(&self, project: Option<ProjectId>, state: DeployedState) -> Result<Vec<DiscoveredService>> {
        let mut found = Vec::new();
        let (project, reader) = self.discoverable(project).await?;
        if let Some(project) = project {
            let project = self.store().project(project).await?;
            self.discover_in(&project, reader, state, &mut found).await?;
            return Ok(found);
        }
        let mut page = PageRequest::first(PageRequest::MAX)?;
        loop {
            let projects = self.store().projects(None, page).await?;
            for project in &projects.items {
                self.discover_in(project, reader, state, &mut found).await?;
            }
            match projects.next {
                Some(next) => page = page.after(Some(next)),
                None => return Ok(found),
            }
        }
    }

    /// The project to list (none: all of them), and whose overrides the list obeys.
    async fn discoverable(&self, asked: Option<ProjectId>) -> Result<(Option<ProjectId>, Option<UserId>)> {
        let Principal::Token { kind: TokenKind::Discovery, binding, created_by, .. } = self.principal.rights() else {
            let Some(project) = asked else {
                self.require_everywhere(Permission::UserManage, "discovery of everything").await?;
                return Ok((None, None));
            };
            let resource = Resource::project(project);
            let decision = self.require_as(Permission::ProjectRead, &resource).await?;
            return Ok((asked, self.reader(&resource, decision)));
        };
        let missing = || Error::not_found("project");
        match binding {
            TokenBinding::Project(project) if asked.is_none_or(|asked| asked == *project) => {
                let Some(creator) = created_by else { return Ok((Some(*project), None)) };
                let resource = Resource::project(*project);
                let decision = self.judge_user(*creator, &resource).await?;
                let reader = self.reader(&resource, decision);
                if Permission::ProjectRead.allows(decision.standing) { Ok((Some(*project), reader)) } else { Err(missing()) }
            }
            TokenBinding::Everything => {
                if let Some(creator) = created_by
                    && !self.enabled_user(*creator).await?.is_some_and(|user| user.operator)
                {
                    return Err(missing());
                }
                Ok((asked, None))
            }
            _ => Err(missing()),
        }
    }

    async fn discover_in(
        &self,
        project: &Project,
        reader: Option<UserId>,
        state: DeployedState,
        found: &mut Vec<DiscoveredService>,
    ) -> Result<()> {
        let filter = DeployedServiceFilter { project: Some(project.id), reader, ..DeployedServiceFilter::default() };
        let mut page = PageRequest::first(PageRequest::MAX)?;
        let mut deployed = Vec::new();
        loop {
            let read = self.store().deployed_services(filter, page).await?;
            deployed.extend(read.items.into_iter().filter(|service| service.state == state));
            if found.len() + deployed.len() > MAX_DISCOVERED {
                let message = format!("more than {MAX_DISCOVERED} services are deployed; ask for them project by project");
                return Err(Error::new(ErrorKind::LimitExceeded, "discover", message));
            }
            match read.next {
                Some(next) => page = page.after(Some(next)),
                None => break,
            }
        }
        if deployed.is_empty() {
            return Ok(());
        }
        let deployments = self.deployments_by_id(project.id).await?;
        let mut known = Known::default();
        for service in deployed {
            // One that was made a moment ago is in the next answer.
            if let Some(deployment) = deployments.get(&service.deployment_id) {
                found.push(self.discovered(project, service, deployment, &mut known).await?);
            }
        }
        Ok(())
    }

    async fn deployments_by_id(&self, project: ProjectId) -> Result<HashMap<DeploymentId, Deployment>> {
        let filter = DeploymentFilter { project: Some(project), ..DeploymentFilter::default() };
        let mut page = PageRequest::first(PageRequest::MAX)?;
        let mut deployments = HashMap::new();
        loop {
            let read = self.store().deployments(filter, page).await?;
            deployments.extend(read.items.into_iter().map(|deployment| (deployment.id, deployment)));
            match read.next {
                Some(next) => page = page.after(Some(next)),
                None => return Ok(deployments),
            }
        }
    }

    async fn discovered(
        &self,
        project: &Project,
        service: DeployedService,
        deployment: &Deployment,
        known: &mut Known,
    ) -> Result<DiscoveredService> {
        let group = match known.groups.entry(deployment.group_id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(self.store().group(deployment.group_id).await?),
        };
        let scope = match deployment.scope_id {
            None => None,
            Some(id) => Some(match known.scopes.entry(id) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => place.insert(self.store().scope(id).await?),
            }),
        };
        let defaults = self.eyrie.0.types.get(&group.group_type).map(|known| known.defaults()).unwrap_or_default();
        let levels = [
            Some((Level::Deployment, &deployment.settings)),
            scope.as_ref().map(|scope| (Level::Scope, &scope.settings)),
            Some((Level::Group, &group.settings)),
            Some((Level::Project, &project.settings)),
            Some((Level::Default, &defaults)),
        ];
        let settings = EffectiveSettings::resolve(levels.into_iter().flatten());
        Ok(DiscoveredService {
            deployed_service_id: service.id,
            state: service.state,
            project: project.slug.clone(),
            group: group.slug.clone(),
            deployment_type: group.group_type.clone(),
            scope: scope.map(|scope| scope.slug.clone()),
            deployment: deployment.slug.clone(),
            deployment_id: deployment.id,
            release_id: service.release_id,
            updated_at: service.updated_at,
            reachable: Reachable::of(&settings),
        })
    }
}
