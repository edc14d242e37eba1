//! Settings: held against the schemas of deployment types, explained, and compared with what is released.

use serde::Serialize;
use serde_json::Value;

use crate::{
    access::Permission,
    deployment_type::SettingsSchema,
    error::{Error, Invalid, Result},
    id::{DeploymentId, ProjectId, ReleaseId},
    model::{Deployment, Difference, EffectiveSettings, MAX_DIFFERENCES, RunKind, Settings, SettingsPatch},
    name::GroupType,
    platform::{Acting, StartRun},
    store::PageRequest,
};

/// A deployment's settings, explained.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SettingsView {
    /// The deployment.
    pub deployment_id: DeploymentId,
    /// Its version: what its own settings are changed at.
    pub version: u64,
    /// Its type.
    pub deployment_type: GroupType,
    /// Every field: its value, the level that set it, and what that hides further away.
    pub settings: EffectiveSettings,
    /// Why they cannot be deployed as they are; none when the type's schema accepts them, or the type is not known.
    pub refused: Option<RefusedSetting>,
}

/// A field that keeps a deployment from being deployed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RefusedSetting {
    /// The field.
    pub field: String,
    /// What is wrong with it.
    pub reason: String,
}

/// What differs between two releases, or between a release and what a deploy would make now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReleaseDiff {
    /// The release before; none when there is none.
    pub from: Option<ReleaseId>,
    /// The release after; none: what a deploy would make now.
    pub to: Option<ReleaseId>,
    /// What differs in their configuration.
    pub changes: Vec<Difference>,
    /// Whether there are more differences than are listed.
    pub more: bool,
}

impl ReleaseDiff {
    fn between(from: Option<ReleaseId>, before: &Value, to: Option<ReleaseId>, after: &Value) -> Self {
        let mut changes = Difference::between(before, after);
        let more = changes.len() > MAX_DIFFERENCES;
        changes.truncate(MAX_DIFFERENCES);
        Self { from, to, changes, more }
    }
}

/// A deployment type that this program knows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeploymentTypeView {
    /// Its name, which is the `group_type` of its groups.
    pub name: GroupType,
    /// The built-in defaults of its settings.
    pub defaults: Settings,
}

impl Acting {
    /// A deployment's settings, each with the level that set it and what that hides.
    ///
    /// # Errors
    /// `NotFound`, also for what the principal may not read.
    pub async fn explain_settings(&self, id: DeploymentId) -> Result<SettingsView> {
        let deployment = self.deployment_for(id, Permission::ProjectRead).await?;
        let settings = self.effective_settings(&deployment).await?;
        let deployment_type = self.store().group(deployment.group_id).await?.group_type;
        let refused = self.schema(&deployment_type).and_then(|schema| schema.check_whole(&settings).err());
        let refused = refused.map(|invalid| RefusedSetting { field: invalid.field().to_owned(), reason: invalid.reason().to_owned() });
        Ok(SettingsView { deployment_id: id, version: deployment.version, deployment_type, settings, refused })
    }

    /// What a deploy would change now: the newest release beside what one would be made of. Secrets are references on both sides.
    ///
    /// # Errors
    /// `NotFound`, also for what the principal may not read; `Invalid` names the setting for which it could not be deployed;
    /// `Unsupported` when the deployment's type is not known.
    pub async fn deployment_diff(&self, id: DeploymentId) -> Result<ReleaseDiff> {
        let deployment = self.deployment_for(id, Permission::ProjectRead).await?;
        let released = self.store().releases(id, PageRequest::first(1)?).await?.items.into_iter().next();
        let context = match &released {
            // What was passed along then is not a setting, and so no difference.
            Some(release) => match self.store().run(release.run_id).await {
                Ok(run) => (*run.context).clone(),
                Err(error) if error.is_not_found() => StartRun::default().context,
                Err(error) => return Err(error),
            },
            None => StartRun::default().context,
        };
        let plan = self.plan(&deployment, &StartRun { kind: RunKind::Deploy, context, ..StartRun::default() }).await?;
        let (plan, _) = self.pin_secrets(&deployment, &plan).await?;
        let planned = plan.release().map_or(&Value::Null, |release| &release.config);
        let before = released.as_ref().map_or(&Value::Null, |release| &release.config);
        Ok(ReleaseDiff::between(released.as_ref().map(|release| release.id), before, None, planned))
    }

    /// What a release changed: against another release, also of another deployment, or else against the one before it.
    ///
    /// # Errors
    /// `NotFound`, also for what the principal may not read.
    pub async fn release_diff(&self, id: ReleaseId, against: Option<ReleaseId>) -> Result<ReleaseDiff> {
        let release = self.release(id).await?;
        let before = match against {
            Some(other) => Some(self.release(other).await?),
            None => {
                let older = PageRequest::first(1)?.after(Some(id.uuid()));
                self.store().releases(release.deployment_id, older).await?.items.into_iter().next()
            }
        };
        let config = before.as_ref().map_or(&Value::Null, |before| &before.config);
        Ok(ReleaseDiff::between(before.as_ref().map(|before| before.id), config, Some(id), &release.config))
    }

    /// The deployment types that this program knows, by name.
    ///
    /// # Errors
    /// `Denied` for who is not signed in as a user.
    pub async fn deployment_types(&self) -> Result<Vec<DeploymentTypeView>> {
        self.require_everywhere(Permission::TypeRead, "deployment types").await?;
        let known = self.eyrie.0.types.iter();
        Ok(known.map(|(name, known)| DeploymentTypeView { name: name.clone(), defaults: known.defaults() }).collect())
    }

    /// The JSON schema of a deployment type's settings.
    ///
    /// # Errors
    /// `NotFound` when this program does not know the type.
    pub async fn deployment_type_schema(&self, name: &GroupType) -> Result<Value> {
        self.require_everywhere(Permission::TypeRead, "deployment types").await?;
        self.schema(name).map(|schema| schema.document().clone()).ok_or_else(|| Error::not_found("deployment type"))
    }

    fn schema(&self, deployment_type: &GroupType) -> Option<&SettingsSchema> {
        self.eyrie.0.schemas.get(deployment_type)
    }

    /// Refuses a level's new settings where the type's schema does.
    pub(super) fn check_level(&self, deployment_type: &GroupType, new: &Settings) -> Result<(), Invalid> {
        self.schema(deployment_type).map_or(Ok(()), |schema| schema.check_level(new))
    }

    /// Refuses a project's new settings: a field for which no type that names it accepts the value.
    pub(super) fn check_project_level(&self, new: &Settings) -> Result<(), Invalid> {
        for (key, value) in new.iter() {
            let single = Settings::default().with(key.as_str(), value.clone())?;
            let verdicts =
                self.eyrie.0.schemas.values().filter(|schema| schema.names(key.as_str())).map(|schema| schema.check_level(&single));
            let mut refused = None;
            for verdict in verdicts {
                match verdict {
                    Ok(()) => {
                        refused = None;
                        break;
                    }
                    Err(invalid) => refused = refused.or(Some(invalid)),
                }
            }
            if let Some(invalid) = refused {
                return Err(invalid);
            }
        }
        Ok(())
    }

    /// A level's settings after a change, and what of them is new, which is what is looked at: what stands there already keeps nobody
    /// from changing something else.
    pub(super) async fn change_level(
        &self,
        project: ProjectId,
        now: Settings,
        whole: Option<Settings>,
        patch: Option<SettingsPatch>,
        check: impl FnOnce(&Settings) -> Result<(), Invalid>,
    ) -> Result<Settings> {
        if whole.is_none() && patch.is_none() {
            return Ok(now);
        }
        let changed = now.clone().changed(whole, patch)?;
        let new = changed.differing_from(&now);
        check(&new)?;
        self.check_secrets(project, &new).await?;
        Ok(changed)
    }

    /// Refuses effective settings that the deployment's type cannot deploy.
    pub(super) fn check_whole(&self, deployment_type: &GroupType, settings: &EffectiveSettings) -> Result<(), Invalid> {
        self.schema(deployment_type).map_or(Ok(()), |schema| schema.check_whole(settings))
    }

    /// The type of the deployment's group.
    pub(super) async fn deployment_type_of(&self, deployment: &Deployment) -> Result<GroupType> {
        Ok(self.store().group(deployment.group_id).await?.group_type)
    }
}

#[cfg(test)]
mod tests;
