//! Settings are refused where they are set, explained, and compared with what is released.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::json;

use super::*;
use crate::{
    deployment_type::{DeploymentType, PlanRequest},
    engine::{Action, ActionContext, ActionError, Output},
    error::ErrorKind,
    id::SecretId,
    memory::MemoryStore,
    model::{
        DeploymentGroup, DeploymentPatch, GroupPatch, Level, NewDeployment, NewGroup, NewProject, NewScope, NewSecret, Owner, Plan,
        PlannedRelease, Principal, Project, ProjectPatch, RunState, ScopePatch,
    },
    platform::Eyrie,
    secret::{MemoryKeyring, SecretValue},
};

#[derive(Debug)]
struct Done;

#[async_trait]
impl Action for Done {
    async fn run(&self, _: ActionContext) -> Result<Option<Output>, ActionError> {
        Ok(None)
    }
}

/// Deploys nothing, with settings of that schema.
#[derive(Debug)]
struct Typed(GroupType, Value);

impl Typed {
    fn new(name: &str, schema: Value) -> Self {
        Self(GroupType::new(name).unwrap(), schema)
    }
}

impl DeploymentType for Typed {
    fn group_type(&self) -> &GroupType {
        &self.0
    }

    fn defaults(&self) -> Settings {
        Settings::default().with("replicas", 1).unwrap()
    }

    fn schema(&self) -> Value {
        self.1.clone()
    }

    fn plan(&self, request: &PlanRequest<'_>) -> Result<Plan> {
        let config = json!({ "settings": request.settings.values(), "context": request.context });
        Plan::builder().step("only", "done", |step| step).release(PlannedRelease { config, leaves_running: true }).build()
    }
}

struct Field {
    me: Acting,
    project: Project,
    group: DeploymentGroup,
    deployment: Deployment,
}

fn settings(fields: Value) -> Settings {
    serde_json::from_value(fields).unwrap()
}

fn patch(fields: Value) -> Option<SettingsPatch> {
    Some(serde_json::from_value(fields).unwrap())
}

async fn field() -> Field {
    let strict = json!({
        "properties": { "replicas": { "type": "integer", "maximum": 9 }, "host": { "type": "string" } },
        "required": ["host"],
        "additionalProperties": false,
    });
    let loose = json!({ "properties": { "replicas": { "enum": ["many"] } } });
    let builder = Eyrie::builder(Arc::new(MemoryStore::new())).action("done", Done);
    let builder = builder.keyring(MemoryKeyring::generate().unwrap());
    let eyrie = builder.deployment_type(Typed::new("strict", strict)).deployment_type(Typed::new("loose", loose)).start().await.unwrap();
    let me = eyrie.acting_as(Principal::local_operator());
    let project = me.create_project(NewProject::new("blog").unwrap()).await.unwrap();
    let group = me.create_group(project.id, NewGroup::new("web", "strict").unwrap()).await.unwrap();
    let deployment = me.create_deployment(group.id, NewDeployment::new("site").unwrap()).await.unwrap();
    Field { me, project, group, deployment }
}

impl Field {
    /// Patches the deployment's own settings.
    async fn set(&self, fields: Value) -> Result<Deployment> {
        let version = self.me.deployment(self.deployment.id).await?.deployment.version;
        let patch = DeploymentPatch { settings_patch: patch(fields), ..DeploymentPatch::default() };
        self.me.update_deployment(self.deployment.id, version, patch).await
    }

    async fn deploy(&self, context: Value) -> ReleaseId {
        let start = StartRun { context, ..StartRun::default() };
        let run = self.me.start_run(self.deployment.id, start).await.unwrap();
        for _ in 0..500 {
            let run = self.me.run(run.id).await.unwrap().run;
            if run.state == RunState::Succeeded {
                return run.release_id.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it did not end");
    }
}

fn refused_field<T: std::fmt::Debug>(refused: Result<T>) -> String {
    refused.unwrap_err().invalid().unwrap().field().to_owned()
}

#[tokio::test]
async fn each_level_refuses_what_its_type_does_not_take() {
    let Field { me, project, group, deployment } = &field().await;
    for (bad, named) in [(json!({ "replicas": 10 }), "settings.replicas"), (json!({ "hosts": "x" }), "settings.hosts")] {
        let new = NewGroup { settings: settings(bad.clone()), ..NewGroup::new("other", "strict").unwrap() };
        assert_eq!(refused_field(me.create_group(project.id, new).await), named);
        let new = NewScope { settings: settings(bad.clone()), ..NewScope::new("prod").unwrap() };
        assert_eq!(refused_field(me.create_scope(group.id, new).await), named);
        let new = NewDeployment { settings: settings(bad.clone()), ..NewDeployment::new("other").unwrap() };
        assert_eq!(refused_field(me.create_deployment(group.id, new).await), named);
        let scope = me.create_scope(group.id, NewScope::new("kept").unwrap()).await.unwrap();
        let whole = Some(settings(bad.clone()));
        assert_eq!(refused_field(me.update_group(group.id, 1, GroupPatch { settings: whole.clone(), ..Default::default() }).await), named);
        assert_eq!(refused_field(me.update_scope(scope.id, 1, ScopePatch { settings: whole, ..Default::default() }).await), named);
        let field_by_field = DeploymentPatch { settings_patch: patch(bad), ..Default::default() };
        assert_eq!(refused_field(me.update_deployment(deployment.id, 1, field_by_field).await), named);
        me.delete_scope(scope.id).await.unwrap();
    }
    let of_project = async |fields: Value| {
        me.update_project(project.id, 1, ProjectPatch { settings: Some(settings(fields)), ..ProjectPatch::default() }).await
    };
    assert_eq!(refused_field(of_project(json!({ "replicas": 10 })).await), "settings.replicas", "no type takes it");
    assert_eq!(refused_field(of_project(json!({ "host": 1 })).await), "settings.host");
    of_project(json!({ "replicas": "many", "unheard": {} })).await.unwrap();
    let unknown = NewGroup { settings: settings(json!({ "replicas": 10 })), ..NewGroup::new("own", "unheard").unwrap() };
    me.create_group(project.id, unknown).await.unwrap();
}

#[tokio::test]
async fn what_is_missing_shows_at_the_deploy_and_before() {
    let field = field().await;
    let me = &field.me;
    let refused = me.explain_settings(field.deployment.id).await.unwrap().refused.unwrap();
    assert_eq!(refused.field, "settings.host");
    assert_eq!(refused_field(me.start_run(field.deployment.id, StartRun::default()).await), "settings.host");
    assert_eq!(refused_field(me.deployment_diff(field.deployment.id).await), "settings.host");
    let group = GroupPatch { settings_patch: patch(json!({ "host": "a", "replicas": 2 })), ..GroupPatch::default() };
    me.update_group(field.group.id, 1, group).await.unwrap();
    field.set(json!({ "replicas": 3 })).await.unwrap();
    let view = me.explain_settings(field.deployment.id).await.unwrap();
    assert_eq!((view.refused, view.version, view.deployment_type.as_str()), (None, 2, "strict"));
    let replicas = view.settings.explain("replicas").unwrap();
    assert_eq!((&replicas.value, replicas.level), (&json!(3), Level::Deployment));
    let hidden: Vec<_> = replicas.hides.iter().map(|one| (one.level, &one.value)).collect();
    assert_eq!(hidden, [(Level::Group, &json!(2)), (Level::Default, &json!(1))]);
    field.set(json!({ "replicas": null })).await.unwrap();
    let view = me.explain_settings(field.deployment.id).await.unwrap();
    assert_eq!(view.settings.explain("replicas").unwrap().level, Level::Group, "inherited again");
}

#[tokio::test]
async fn what_stands_there_keeps_nobody_from_changing_something_else() {
    let field = field().await;
    field.set(json!({ "host": "a" })).await.unwrap();
    // As if the schema had become stricter since.
    let mut stored = field.me.deployment(field.deployment.id).await.unwrap().deployment;
    stored.settings = settings(json!({ "host": "a", "replicas": 99 }));
    let audit = field.me.allowed("test", "test", None);
    field.me.store().update_deployment(&stored, &audit).await.unwrap();
    field.set(json!({ "host": "b" })).await.unwrap();
    assert_eq!(refused_field(field.set(json!({ "replicas": 98 })).await), "settings.replicas");
    assert_eq!(refused_field(field.me.start_run(field.deployment.id, StartRun::default()).await), "settings.replicas");
    let stale = DeploymentPatch { settings_patch: patch(json!({ "host": "c" })), ..DeploymentPatch::default() };
    assert_eq!(field.me.update_deployment(field.deployment.id, 1, stale).await.unwrap_err().kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn a_patch_names_secrets_of_its_project_only_and_a_new_value_is_a_difference() {
    let field = field().await;
    let (me, id) = (&field.me, field.deployment.id);
    let other = me.create_project(NewProject::new("shop").unwrap()).await.unwrap();
    let secret = async |project: &Project| {
        me.create_secret(Owner::Project(project.id), NewSecret::new("host", "the first value").unwrap()).await.unwrap()
    };
    let (own, others) = (secret(&field.project).await, secret(&other).await);
    for unknown in [others.id, SecretId::new()] {
        assert!(refused_field(field.set(json!({ "host": { "$secret": unknown } })).await).starts_with("settings.host"));
    }
    field.set(json!({ "host": { "$secret": own.id } })).await.unwrap();
    field.deploy(json!({})).await;
    assert_eq!(me.deployment_diff(id).await.unwrap().changes, [], "a reference in its version is no difference");
    me.replace_secret_value(own.id, own.version, &SecretValue::new("the second value").unwrap()).await.unwrap();
    let changes = me.deployment_diff(id).await.unwrap().changes;
    assert_eq!(changes.iter().map(|change| change.path.as_str()).collect::<Vec<_>>(), ["/settings/host/$secret/version"]);
    let shown = serde_json::to_string(&(&changes, me.explain_settings(id).await.unwrap())).unwrap();
    assert!(!shown.contains("value\":\"the") && !shown.contains("second value"), "{shown}");
}

#[tokio::test]
async fn releases_differ_in_what_was_set_between_them() {
    let field = field().await;
    let (me, id) = (&field.me, field.deployment.id);
    field.set(json!({ "host": "a" })).await.unwrap();
    let nothing_yet = me.deployment_diff(id).await.unwrap();
    assert_eq!((nothing_yet.from, nothing_yet.to, nothing_yet.changes[0].before.clone()), (None, None, Some(Value::Null)));
    let first = field.deploy(json!({ "env": { "TAG": "1" } })).await;
    assert_eq!(me.deployment_diff(id).await.unwrap().changes, [], "a deploy would change nothing");
    field.set(json!({ "host": "b", "replicas": 2 })).await.unwrap();
    let wanted = me.deployment_diff(id).await.unwrap();
    let shown = serde_json::to_value(&wanted).unwrap();
    let changes = json!([
        { "path": "/settings/host", "before": "a", "after": "b" },
        { "path": "/settings/replicas", "before": 1, "after": 2 },
    ]);
    assert_eq!(shown, json!({ "from": first, "to": null, "changes": changes, "more": false }));
    let second = field.deploy(json!({})).await;
    let made = me.release_diff(second, None).await.unwrap();
    assert_eq!((made.from, made.to), (Some(first), Some(second)));
    let paths: Vec<_> = made.changes.iter().map(|change| change.path.as_str()).collect();
    assert_eq!(paths, ["/context/env", "/settings/host", "/settings/replicas"]);
    assert_eq!(me.release_diff(second, Some(second)).await.unwrap().changes, []);
    assert_eq!(me.release_diff(first, None).await.unwrap().from, None, "there is none before it");
    assert!(me.release_diff(first, Some(ReleaseId::new())).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn types_are_shown_to_people() {
    let Field { me, .. } = &field().await;
    let names: Vec<_> = me.deployment_types().await.unwrap().into_iter().map(|known| known.name.to_string()).collect();
    assert_eq!(names, ["loose", "strict"]);
    let schema = me.deployment_type_schema(&GroupType::new("strict").unwrap()).await.unwrap();
    assert_eq!(schema["required"], json!(["host"]));
    assert!(schema["properties"]["queue_policy"].is_object(), "what every type has is in it");
    assert!(me.deployment_type_schema(&GroupType::new("unheard").unwrap()).await.unwrap_err().is_not_found());
    let builder = Eyrie::builder(Arc::new(MemoryStore::new())).deployment_type(Typed::new("bad", json!({ "type": 1 })));
    assert_eq!(refused_field(builder.start().await), "deployment_type.bad.schema");
}
