//! Roles in groups and deployments over HTTP: what they hide and show, who may set them, and what is said of why.

use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use eyrie_core::{
    Acting,
    id::UserId,
    model::{Deployment, NewDeployment, NewGroup, NewProject, Plan, Principal, Role},
    platform::NewUser,
};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::{
    browser::{hidden, send},
    site::Site,
};

/// A project with the deployments `shop` and `blog` in one group and `api` in another.
struct Shop {
    site: Site,
    me: Acting,
    shop: Deployment,
    blog: Deployment,
    api: Deployment,
}

impl Shop {
    async fn new() -> Self {
        let (site, _) = Site::with_ann().await;
        let me = site.eyrie.acting_as(Principal::local_operator());
        let project = me.create_project(NewProject::new("store").unwrap()).await.unwrap();
        let web = me.create_group(project.id, NewGroup::new("web", "own").unwrap()).await.unwrap();
        let other = me.create_group(project.id, NewGroup::new("other", "own").unwrap()).await.unwrap();
        let make = async |group, slug| me.create_deployment(group, NewDeployment::new(slug).unwrap()).await.unwrap();
        let (shop, blog, api) = (make(web.id, "shop").await, make(web.id, "blog").await, make(other.id, "api").await);
        Self { site, me, shop, blog, api }
    }

    async fn user(&self, name: &str, role: Option<Role>) -> (UserId, String) {
        let user = self.me.create_user(NewUser { name: name.parse().unwrap(), password: None, operator: false }).await.unwrap();
        if let Some(role) = role {
            self.me.set_member(self.shop.project_id, user.id, role).await.unwrap();
        }
        let (secret, _) = self.me.open_session(user.id, Duration::from_secs(3600)).await.unwrap();
        (user.id, secret.reveal().to_owned())
    }

    async fn set(&self, token: &str, place: &str, user: UserId, role: &str) -> u16 {
        let path = format!("/api/v1/{place}/members/{user}");
        self.site.put("PUT", token, &path, &[], &json!({ "role": role })).await.status.as_u16()
    }

    fn group(&self) -> String {
        format!("groups/{}", self.shop.group_id)
    }

    fn project(&self) -> String {
        format!("projects/{}", self.shop.project_id)
    }
}

fn of(deployment: &Deployment) -> String {
    format!("deployments/{}", deployment.id)
}

fn slugs(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["slug"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn what_an_override_hides_looks_like_what_is_missing() {
    let shop = Shop::new().await;
    let (_, admin) = shop.user("admin", Some(Role::Admin)).await;
    let (dora, token) = shop.user("dora", Some(Role::Developer)).await;
    let get = async |path: &str| shop.site.get(&token, &format!("/api/v1/{path}")).await;
    let run = shop.me.run_plan(shop.blog.id, Plan::builder().approval("a", Role::User, |step| step).build().unwrap()).await.unwrap();
    assert_eq!(get(&format!("runs/{}", run.id)).await.status, 200);
    assert_eq!(shop.set(&admin, &shop.group(), dora, "none").await, 200);
    assert_eq!(shop.set(&admin, &of(&shop.shop), dora, "user").await, 200);

    let missing = get("no/such/route").await;
    for path in [
        shop.group(),
        format!("{}/deployments", shop.group()),
        format!("{}/members", shop.group()),
        of(&shop.blog),
        format!("{}/runs", of(&shop.blog)),
        format!("{}/explain?permission=run.start", of(&shop.blog)),
        format!("runs/{}", run.id),
        format!("runs/{}/events", run.id),
        format!("runs?deployment={}", shop.blog.id),
    ] {
        let answer = get(&path).await;
        assert_eq!((answer.status, &answer.text), (missing.status, &missing.text), "{path}");
        assert_eq!(answer.headers.len(), missing.headers.len());
    }
    assert_eq!(get(&of(&shop.shop)).await.status, 200, "its own override shows it again");
    assert_eq!(slugs(&get(&format!("{}/groups", shop.project())).await.json()), ["other"]);
    assert_eq!(get(&format!("runs?project={}", shop.shop.project_id)).await.json()["items"], json!([]));
    assert_eq!(get(&format!("{}/queue", shop.project())).await.json()["items"], json!([]));
    let start = async |deployment: &Deployment| {
        let path = format!("/api/v1/{}/runs", of(deployment));
        shop.site.post(&token, &path, &json!({})).await.status.as_u16()
    };
    assert_eq!(start(&shop.shop).await, 403, "it is lowered there");
    assert_eq!(start(&shop.blog).await, 404);
    assert_ne!(start(&shop.api).await, 403, "her role counts where nothing else is said");

    let path = format!("/api/v1/{}/members/{dora}", shop.group());
    assert_eq!(shop.site.get(&admin, &path).await.json()["role"], "none");
    assert_eq!(shop.site.put("DELETE", &admin, &path, &[], &Value::Null).await.status, 204);
    assert_eq!(shop.site.get(&admin, &path).await.status, 404);
    assert_eq!(get(&of(&shop.blog)).await.status, 200);
}

#[tokio::test]
async fn nobody_raises_themselves() {
    let shop = Shop::new().await;
    let (ada, admin) = shop.user("ada", Some(Role::Admin)).await;
    let (dora, developer) = shop.user("dora", Some(Role::Developer)).await;
    let (gus, group_admin) = shop.user("gus", Some(Role::User)).await;
    let (otto, outsider) = shop.user("otto", None).await;
    assert_eq!(shop.set(&admin, &shop.group(), gus, "admin").await, 200);
    for place in [shop.project(), shop.group(), of(&shop.shop)] {
        for (token, expected) in [(&developer, 403), (&outsider, 404)] {
            for user in [dora, ada, otto] {
                assert_eq!(shop.set(token, &place, user, "admin").await, expected, "{place}");
                let path = format!("/api/v1/{place}/members/{user}");
                assert_eq!(shop.site.put("DELETE", token, &path, &[], &Value::Null).await.status, expected, "{place}");
            }
        }
    }
    // Admin of a group: there and below, and nowhere else.
    assert_eq!(shop.set(&group_admin, &shop.project(), gus, "admin").await, 403);
    assert_eq!(shop.set(&group_admin, &of(&shop.api), gus, "admin").await, 403);
    assert_eq!(shop.set(&group_admin, &of(&shop.shop), dora, "none").await, 200);
    assert_eq!(shop.set(&group_admin, &shop.group(), ada, "none").await, 200);
    assert_eq!(shop.set(&group_admin, &shop.group(), otto, "user").await, 404, "who is no member gets no role");
    // Whoever may not see the group does not take away what was given in it either.
    let remove = async |user: UserId| {
        let path = format!("/api/v1/{}/members/{user}", shop.project());
        shop.site.put("DELETE", &admin, &path, &[], &Value::Null).await.status.as_u16()
    };
    assert_eq!(remove(gus).await, 404);
    assert_eq!(shop.me.overrides(eyrie_core::model::OverrideAt::Group(shop.shop.group_id)).await.unwrap().len(), 2);
    // The last admin stays.
    assert_eq!(shop.set(&admin, &shop.project(), ada, "developer").await, 409);
    assert_eq!(remove(ada).await, 404, "for her override in the group");
    shop.me.remove_override(eyrie_core::model::OverrideAt::Group(shop.shop.group_id), ada).await.unwrap();
    assert_eq!(remove(ada).await, 409);
    assert_eq!(shop.set(&admin, &shop.project(), dora, "admin").await, 200);
    assert_eq!(shop.set(&developer, &shop.project(), ada, "developer").await, 200);
}

#[tokio::test]
async fn an_owner_stays_admin_and_only_operators_transfer() {
    let shop = Shop::new().await;
    let (ada, admin) = shop.user("ada", Some(Role::Admin)).await;
    let (olga, owner) = shop.user("olga", Some(Role::User)).await;
    let path = format!("/api/v1/{}/owner", shop.project());
    assert_eq!(shop.site.put("PUT", &admin, &path, &[], &json!({ "user_id": ada })).await.status, 403);
    let ann = shop.site.session("ann").await;
    assert_eq!(shop.site.put("PUT", &ann, &path, &[], &json!({})).await.problem().0, 422, "nothing at all takes no owner away");
    let nobody = shop.site.put("PUT", &ann, &path, &[], &json!({ "user_id": "01234567-89ab-7cde-8f01-23456789abcd" })).await;
    assert_eq!(nobody.json()["field"], "user_id");
    let project = shop.site.put("PUT", &ann, &path, &[], &json!({ "user_id": olga })).await.json();
    assert_eq!(project["owner_id"], json!(olga));
    assert_eq!(shop.set(&admin, &shop.group(), olga, "none").await, 200);
    assert_eq!(shop.set(&admin, &of(&shop.blog), olga, "user").await, 200);
    assert_eq!(shop.set(&owner, &shop.group(), ada, "user").await, 200, "an owner is admin whatever is said");
    assert_eq!(shop.site.put("PUT", &owner, &path, &[], &json!({ "user_id": ada })).await.status, 403);
    let entries = shop.site.get(&ann, &format!("/api/v1/audit?project={}", shop.shop.project_id)).await.json();
    let entries = entries["items"].as_array().unwrap();
    let transfer = entries.iter().find(|entry| entry["action"] == "project.transfer" && entry["verdict"] == "allowed").unwrap();
    assert_eq!(transfer["reason"], format!("as operator: owner {olga}"));
    assert!(
        entries
            .iter()
            .filter(|entry| entry["principal"]["name"] == "ada")
            .all(|entry| !entry["reason"].as_str().unwrap().contains("as operator"))
    );

    shop.me.set_user_disabled(olga, true).await.unwrap();
    assert_eq!(shop.site.get(&owner, &format!("/api/v1/{}", shop.project())).await.status, 401);
    let told = shop.me.explain(
        Some(olga),
        eyrie_core::access::Permission::ProjectRead,
        eyrie_core::platform::Place::Project(shop.shop.project_id),
    );
    assert_eq!(serde_json::to_value(told.await.unwrap()).unwrap()["decided_by"], "disabled");
    assert_eq!(shop.site.put("PUT", &ann, &path, &[], &json!({ "user_id": olga })).await.json()["field"], "user_id");
}

#[tokio::test]
async fn why_is_told_to_whoever_may_know() {
    let shop = Shop::new().await;
    let (_, admin) = shop.user("ada", Some(Role::Admin)).await;
    let (dora, token) = shop.user("dora", Some(Role::Developer)).await;
    let (otto, outsider) = shop.user("otto", None).await;
    shop.set(&admin, &shop.group(), dora, "user").await;
    shop.set(&admin, &of(&shop.blog), dora, "none").await;
    let ask = async |token: &str, place: &str, query: &str| shop.site.get(token, &format!("/api/v1/{place}/explain?{query}")).await;
    let about = |user: UserId, permission: &str| format!("permission={permission}&user={user}");
    for (place, user, permission, allowed, readable, decided_by) in [
        (of(&shop.api), dora, "run.start", true, true, "project_role"),
        (shop.group(), dora, "deployment.create", false, true, "group_override"),
        (of(&shop.shop), dora, "run.start", false, true, "group_override"),
        (of(&shop.blog), dora, "project.read", false, false, "deployment_override"),
        (of(&shop.blog), otto, "project.read", false, false, "no_role"),
        (shop.project(), dora, "project.read", true, true, "project_role"),
    ] {
        let told = ask(&admin, &place, &about(user, permission)).await.json();
        let said = (told["allowed"].clone(), told["readable"].clone(), told["decided_by"].clone());
        assert_eq!(said, (json!(allowed), json!(readable), json!(decided_by)), "{place} {permission}");
    }
    let own = ask(&token, &of(&shop.shop), "permission=run.start").await.json();
    assert_eq!((own["decided_by"].as_str(), own["role"].as_str()), (Some("group_override"), Some("user")));
    assert_eq!(own, ask(&token, &of(&shop.shop), &about(dora, "run.start")).await.json());
    assert_eq!(ask(&token, &of(&shop.shop), &about(otto, "run.start")).await.problem().0, 403, "of others only admins ask");
    assert_eq!(ask(&outsider, &of(&shop.shop), "permission=run.start").await.problem().0, 404);
    assert_eq!(ask(&admin, &shop.project(), "permission=run.start").await.json()["field"], "permission");
    assert_eq!(ask(&admin, &shop.project(), "permission=nonsense").await.json()["field"], "permission");
    assert_eq!(ask(&admin, &shop.project(), "").await.json()["field"], "permission");
    let unknown = about("01234567-89ab-7cde-8f01-23456789abcd".parse().unwrap(), "project.read");
    assert_eq!(ask(&admin, &shop.project(), &unknown).await.problem().0, 404);
}

/// How long it takes until the stream is over; none: it goes on.
async fn closes(site: &Site, token: &str, path: &str, act: impl AsyncFnOnce()) -> Option<Duration> {
    let request = axum::http::Request::get(path).header("host", "portal.test").header("authorization", format!("Bearer {token}"));
    let response = site.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), 200);
    let reading = tokio::spawn(async move { to_bytes(response.into_body(), 1 << 20).await.map(drop) });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!reading.is_finished());
    act().await;
    let since = Instant::now();
    tokio::time::timeout(Duration::from_secs(6), reading).await.ok().map(|_| since.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn open_streams_end_with_the_right_to_read() {
    let shop = Shop::new().await;
    let plan = Plan::builder().approval("a", Role::User, |step| step).build().unwrap();
    let run = shop.me.run_plan(shop.shop.id, plan).await.unwrap();
    shop.site.ended(run.id).await;
    let path = format!("/api/v1/runs/{}/events", run.id);
    let (_, admin) = shop.user("ada", Some(Role::Admin)).await;
    let (by_group, one) = shop.user("one", Some(Role::User)).await;
    let (by_deployment, two) = shop.user("two", Some(Role::User)).await;
    let (removed, three) = shop.user("three", Some(Role::User)).await;
    let (raised, four) = shop.user("four", Some(Role::User)).await;
    let (shop, admin, path) = (&shop, &admin, &path);
    let (first, second, third, fourth) = tokio::join!(
        closes(&shop.site, &one, path, async || assert_eq!(shop.set(admin, &shop.group(), by_group, "none").await, 200)),
        closes(&shop.site, &two, path, async || assert_eq!(shop.set(admin, &of(&shop.shop), by_deployment, "none").await, 200)),
        closes(&shop.site, &three, path, async || {
            let path = format!("/api/v1/{}/members/{removed}", shop.project());
            assert_eq!(shop.site.put("DELETE", admin, &path, &[], &Value::Null).await.status, 204);
        }),
        closes(&shop.site, &four, path, async || {
            assert_eq!(shop.set(admin, &of(&shop.shop), raised, "user").await, 200);
            assert_eq!(shop.set(admin, &shop.group(), raised, "none").await, 200);
        }),
    );
    for closed in [first, second, third] {
        assert!(closed.is_some_and(|after| after < Duration::from_secs(5)), "{closed:?}");
    }
    assert_eq!(fourth, None, "who may still read goes on");
}

#[tokio::test]
async fn roles_are_set_on_pages() {
    let shop = Shop::new().await;
    let (_, admin) = shop.user("ada", Some(Role::Admin)).await;
    let (dora, token) = shop.user("dora", None).await;
    let session = format!("eyrie_session={admin}");
    let page = async |path: &str, session: &str| shop.site.ask("GET", path, &[("cookie", session)], "").await;
    let members = format!("/{}/members", shop.project());
    let csrf = hidden(&page(&members, &session).await.text, "csrf");
    let set = async |path: &str, csrf: &str, role: &str| {
        send(&shop.site, path, &session, &[], &format!("csrf={csrf}&user={dora}&role={role}")).await
    };
    assert_eq!(set(&members, "0", "user").await.status, 403);
    assert_eq!(set(&members, &csrf, "none").await.status, 422, "in a project there is no such role");
    assert_eq!(set(&members, &csrf, "developer").await.header("location"), members);
    for place in [shop.group(), of(&shop.shop)] {
        let path = format!("/{place}/members");
        assert_eq!(set(&path, "0", "user").await.status, 403);
        assert_eq!(set(&path, &csrf, "user").await.header("location"), path);
        let shown = page(&path, &session).await.text;
        assert!(shown.contains("<td>user</td>") && shown.contains("dora"), "{shown}");
        let told = page(&format!("{path}?permission=project.read&user={dora}"), &session).await.text;
        assert!(told.contains("decided by"), "{told}");
    }
    let own = format!("eyrie_session={token}");
    let shown = page(&members, &own).await;
    assert_eq!(shown.status, 200);
    assert!(!shown.text.contains("Give a role"), "who may not edit is not asked to");
    let told = page(&format!("{members}?permission=project.read&user="), &own).await.text;
    assert!(told.contains("you have the role developer"), "{told}");
    let (path, own_csrf) = (format!("/{}/members", of(&shop.shop)), hidden(&shown.text, "csrf"));
    let raised = send(&shop.site, &path, &own, &[], &format!("csrf={own_csrf}&user={dora}&role=admin")).await;
    assert_eq!(raised.status, 403);
    assert_eq!(set(&path, &csrf, "none").await.status, 303);
    assert_eq!(page(&path, &own).await.status, 404);
    assert_eq!(set(&path, &csrf, "remove").await.status, 303);
    assert_eq!(page(&path, &own).await.status, 200);
    assert_eq!(set(&members, &csrf, "remove").await.status, 303);
    assert_eq!(page(&members, &own).await.status, 404);
}
