//! Repositories, branches and images over REST, who may see and change them, and what follows when they move.

use eyrie_core::model::RunState;
use serde_json::{Value, json};

use crate::site::{Answered, Site};

const NOBODY: &str = "01234567-89ab-7cde-8f01-23456789abcd";

fn commit(n: u8) -> String {
    format!("{n:02x}").repeat(20)
}

fn digest(n: u8) -> String {
    format!("sha256:{}", format!("{n:02x}").repeat(32))
}

async fn made(site: &Site, token: &str, place: &str, body: Value) -> Value {
    let answer = site.post(token, place, &body).await;
    assert_eq!(answer.status, 201, "{place} {body} {}", answer.text);
    assert!(!answer.header("etag").is_empty());
    let read = site.get(token, answer.header("location")).await;
    let mut same = read.json();
    same.as_object_mut().unwrap().remove("effective_settings");
    assert_eq!((same, read.header("etag")), (answer.json(), answer.header("etag")));
    answer.json()
}

fn refused(answer: &Answered, field: &str) {
    assert_eq!((answer.problem().0, &answer.json()["field"]), (422, &json!(field)), "{}", answer.text);
}

/// A project with a group.
async fn project(site: &Site, token: &str, slug: &str) -> (String, String) {
    let project = made(site, token, "/api/v1/projects", json!({ "slug": slug })).await;
    let groups = format!("/api/v1/projects/{}/groups", project["id"].as_str().unwrap());
    let group = made(site, token, &groups, json!({ "slug": "web", "group_type": "own" })).await;
    (id(&project), id(&group))
}

fn id(thing: &Value) -> String {
    thing["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn repositories_branches_and_images_are_made_changed_and_deleted() {
    let (site, ann) = Site::with_ann().await;
    let (project, group) = project(&site, &ann, "shop").await;
    let new = json!({ "project_id": project, "slug": "shop", "url": "https://git.example.org/shop.git", "group_type": "own" });
    let repository = made(&site, &ann, "/api/v1/repositories", new.clone()).await;
    let own = format!("/api/v1/repositories/{}", id(&repository));
    assert_eq!(site.post(&ann, "/api/v1/repositories", &new).await.problem(), (409, "already-exists".to_owned()));
    for (field, change) in [
        ("url", json!({ "url": "file:///etc" })),
        ("url", json!({ "url": "https://ann:hunter22@git.example.org/x" })),
        ("slug", json!({ "slug": "No" })),
        ("group_type", json!({ "group_type": "" })),
        ("credentials_secret_id", json!({ "credentials_secret_id": NOBODY })),
        ("colour", json!({ "colour": "red" })),
        ("url", json!({ "url": 7 })),
    ] {
        let mut bad = new.clone();
        bad["slug"] = json!("other");
        bad.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let answer = site.post(&ann, "/api/v1/repositories", &bad).await;
        refused(&answer, field);
        assert!(!answer.text.contains("hunter22"));
    }
    let listed = site.get(&ann, &format!("/api/v1/repositories?project={project}&group_type=own")).await.json();
    assert_eq!(listed, json!({ "items": [repository], "next": null }));
    assert_eq!(site.get(&ann, "/api/v1/repositories").await.json()["items"], json!([]));
    let patch = json!({ "group_type": null, "url": "git@git.example.org:shop.git" });
    assert_eq!(site.put("PATCH", &ann, &own, &[], &patch).await.problem().0, 428);
    refused(&site.put("PATCH", &ann, &own, &[("if-match", "\"1\"")], &json!({ "name": null })).await, "name");
    let changed = site.put("PATCH", &ann, &own, &[("if-match", "\"1\"")], &patch).await.json();
    assert_eq!((&changed["group_type"], &changed["url"], &changed["version"]), (&Value::Null, &patch["url"], &json!(2)));
    assert_eq!(site.put("PATCH", &ann, &own, &[("if-match", "\"1\"")], &patch).await.status, 412);

    let branches = format!("{own}/branches");
    refused(&site.post(&ann, &branches, &json!({ "name": "-x" })).await, "name");
    let main = made(&site, &ann, &branches, json!({ "name": "main", "commit": commit(1) })).await;
    assert_eq!((&main["head"]["commit"], &main["repository_id"]), (&json!(commit(1)), &repository["id"]));
    let record = format!("/api/v1/branches/{}/commit", id(&main));
    refused(&site.post(&ann, &record, &json!({ "commit": "HEAD" })).await, "commit");
    let moved = site.post(&ann, &record, &json!({ "commit": commit(2) })).await;
    assert_eq!((moved.status.as_u16(), moved.header("etag"), &moved.json()["redeploys"]), (200, "\"2\"", &json!([])));
    let again = site.post(&ann, &record, &json!({ "commit": commit(2) })).await;
    assert_eq!((again.header("etag"), again.json()), ("\"2\"", moved.json()));
    assert_eq!(site.get(&ann, &branches).await.json()["items"][0]["head"]["commit"], json!(commit(2)));

    let new = json!({ "project_id": project, "repository_id": repository["id"], "reference": "registry.example.org/shop:main" });
    let image = made(&site, &ann, "/api/v1/images", new.clone()).await;
    assert_eq!(site.post(&ann, "/api/v1/images", &new).await.problem(), (409, "already-exists".to_owned()));
    refused(&site.post(&ann, "/api/v1/images", &json!({ "reference": "shop" })).await, "reference");
    refused(&site.post(&ann, "/api/v1/images", &json!({ "reference": "shop:1", "digest": "sha256:0" })).await, "digest");
    let listed = site.get(&ann, &format!("/api/v1/images?project={project}&repository={}", id(&repository))).await.json();
    assert_eq!(listed["items"], json!([image]));
    let of_image = format!("/api/v1/images/{}", id(&image));
    let deployments = format!("/api/v1/groups/{group}/deployments");
    refused(&site.post(&ann, &deployments, &json!({ "slug": "site", "redeploy_on_digest": true })).await, "redeploy_on_digest");
    let new = json!({ "slug": "site", "branch_id": main["id"], "image_id": image["id"], "redeploy_on_commit": true });
    let deployment = made(&site, &ann, &deployments, new).await;
    assert_eq!(deployment["redeploy_for"]["name"], "ann");
    for place in [&own, &of_image, &format!("/api/v1/branches/{}", id(&main)), &format!("/api/v1/projects/{project}")] {
        assert_eq!(site.put("DELETE", &ann, place, &[], &json!({})).await.problem(), (409, "conflict".to_owned()), "{place}");
    }
    let place = format!("/api/v1/deployments/{}", id(&deployment));
    let tag = [("if-match", "\"1\"")];
    refused(&site.put("PATCH", &ann, &place, &tag, &json!({ "branch_id": null })).await, "redeploy_on_commit");
    let off = json!({ "branch_id": null, "image_id": null, "redeploy_on_commit": false });
    let off = site.put("PATCH", &ann, &place, &tag, &off).await.json();
    assert_eq!((&off["branch_id"], &off["image_id"], &off["redeploy_for"]), (&Value::Null, &Value::Null, &Value::Null));
    let taken_off = site.put("PATCH", &ann, &of_image, &tag, &json!({ "repository_id": null })).await.json();
    assert_eq!(taken_off["repository_id"], Value::Null);
    for place in [&of_image, &own] {
        assert_eq!(site.put("DELETE", &ann, place, &[], &json!({})).await.status, 204, "{place}");
        assert_eq!(site.get(&ann, place).await.status, 404);
    }
    assert_eq!(site.get(&ann, &format!("/api/v1/branches/{}", id(&main))).await.status, 404, "a branch goes with its repository");
}

/// Bob is a user of one project and has nothing to do with the other.
#[tokio::test]
async fn what_is_hidden_is_missing_and_ids_in_bodies_are_scoped() {
    let (site, ann) = Site::with_ann().await;
    let bob = site.outsider().await;
    let (hidden, _) = project(&site, &ann, "hidden").await;
    let (open, group) = project(&site, &ann, "open").await;
    let users = site.get(&ann, "/api/v1/users").await.json();
    let bobs = users["items"].as_array().unwrap().iter().find(|user| user["name"] == "bob").map(id).unwrap();
    let role = async |role: &str| {
        let place = format!("/api/v1/projects/{open}/members/{bobs}");
        assert!(site.put("PUT", &ann, &place, &[], &json!({ "role": role })).await.status.is_success());
    };
    role("user").await;
    let repository = |project: &str| json!({ "project_id": project, "slug": "shop", "url": "https://git.example.org/shop.git" });
    let foreign = made(&site, &ann, "/api/v1/repositories", repository(&hidden)).await;
    let branch = made(&site, &ann, &format!("/api/v1/repositories/{}/branches", id(&foreign)), json!({ "name": "main" })).await;
    let image = made(&site, &ann, "/api/v1/images", json!({ "project_id": hidden, "reference": "shop:1" })).await;
    let missing = site.get(&bob, "/api/v1/no/such/route").await;
    let is_missing = |answer: &Answered, what: &str| {
        assert_eq!((answer.status, &answer.text, answer.headers.len()), (missing.status, &missing.text, missing.headers.len()), "{what}");
    };
    let (named, tag) = (json!({ "name": "x" }), [("if-match", "\"1\"")]);
    for (kind, thing) in [("repositories", &foreign), ("branches", &branch), ("images", &image)] {
        for id in [id(thing).as_str(), NOBODY, "x"] {
            let place = format!("/api/v1/{kind}/{id}");
            is_missing(&site.get(&bob, &place).await, &place);
            is_missing(&site.put("DELETE", &bob, &place, &[], &json!({})).await, &place);
            match kind {
                "repositories" => {
                    is_missing(&site.put("PATCH", &bob, &place, &tag, &named).await, &place);
                    is_missing(&site.get(&bob, &format!("{place}/branches")).await, &place);
                    is_missing(&site.post(&bob, &format!("{place}/branches"), &named).await, &place);
                }
                "branches" => is_missing(&site.post(&bob, &format!("{place}/commit"), &json!({ "commit": commit(1) })).await, &place),
                _ => {
                    is_missing(&site.put("PATCH", &bob, &place, &tag, &json!({})).await, &place);
                    is_missing(&site.post(&bob, &format!("{place}/digest"), &json!({ "digest": digest(1) })).await, &place);
                }
            }
        }
    }
    for project in [hidden.as_str(), NOBODY] {
        is_missing(&site.get(&bob, &format!("/api/v1/repositories?project={project}")).await, project);
        is_missing(&site.get(&bob, &format!("/api/v1/images?project={project}")).await, project);
        is_missing(&site.post(&bob, "/api/v1/repositories", &repository(project)).await, project);
        is_missing(&site.post(&bob, "/api/v1/images", &json!({ "project_id": project, "reference": "a:1" })).await, project);
    }

    // What may be read but not changed is refused as such.
    let own = made(&site, &ann, "/api/v1/repositories", repository(&open)).await;
    let own_image = made(&site, &ann, "/api/v1/images", json!({ "project_id": open, "reference": "shop:1" })).await;
    let shared = made(&site, &ann, "/api/v1/images", json!({ "reference": "base:1" })).await;
    let (own, own_image) = (format!("/api/v1/repositories/{}", id(&own)), format!("/api/v1/images/{}", id(&own_image)));
    let of_shared = format!("/api/v1/images/{}", id(&shared));
    assert_eq!(site.get(&bob, "/api/v1/images").await.json()["items"], json!([shared]));
    for answer in [
        site.put("DELETE", &bob, &own, &[], &json!({})).await,
        site.post(&bob, &format!("{own}/branches"), &named).await,
        site.post(&bob, &format!("{own_image}/digest"), &json!({ "digest": digest(1) })).await,
        site.post(&bob, "/api/v1/images", &json!({ "project_id": open, "reference": "b:1" })).await,
    ] {
        assert_eq!(answer.problem(), (403, "denied".to_owned()), "{}", answer.text);
    }
    role("developer").await;
    assert_eq!(site.post(&bob, &format!("{own}/branches"), &named).await.status, 201);
    assert_eq!(site.put("DELETE", &bob, &own, &[], &json!({})).await.status, 403, "a developer changes no repository");
    role("admin").await;
    for answer in [
        site.put("DELETE", &bob, &of_shared, &[], &json!({})).await,
        site.put("PATCH", &bob, &of_shared, &tag, &json!({})).await,
        site.post(&bob, &format!("{of_shared}/digest"), &json!({ "digest": digest(1) })).await,
        site.post(&bob, "/api/v1/images", &json!({ "reference": "b:1" })).await,
        site.post(&bob, "/api/v1/repositories", &json!({ "slug": "x", "url": "https://git.example.org/x" })).await,
    ] {
        assert_eq!(answer.problem(), (403, "denied".to_owned()), "{}", answer.text);
        assert!(answer.text.contains("an operator"), "{}", answer.text);
    }

    // An id of another project in a body names nothing, whether there is such a thing or not.
    let deployments = format!("/api/v1/groups/{group}/deployments");
    let deployment = made(&site, &bob, &deployments, json!({ "slug": "site", "image_id": shared["id"] })).await;
    let place = format!("/api/v1/deployments/{}", id(&deployment));
    for (field, foreign) in [("branch_id", id(&branch)), ("image_id", id(&image))] {
        let mut told = Vec::new();
        for id in [foreign.as_str(), NOBODY] {
            let made = site.post(&bob, &deployments, &json!({ "slug": "other", field: id })).await;
            refused(&made, field);
            let changed = site.put("PATCH", &bob, &place, &tag, &json!({ field: id })).await;
            refused(&changed, field);
            told.push((made.text, changed.text));
        }
        assert_eq!(told[0], told[1]);
    }
    for id in [id(&foreign).as_str(), NOBODY] {
        refused(
            &site.post(&bob, "/api/v1/images", &json!({ "project_id": open, "reference": "c:1", "repository_id": id })).await,
            "repository_id",
        );
        refused(&site.put("PATCH", &bob, &own_image, &tag, &json!({ "repository_id": id })).await, "repository_id");
    }
    assert_eq!(site.get(&bob, &deployments).await.json()["items"], json!([deployment]), "nothing has changed");
    assert_eq!(site.get(&ann, &format!("/api/v1/images/{}", id(&image))).await.json(), image);
}

#[tokio::test]
async fn a_repository_for_one_type_serves_no_other() {
    let (site, ann) = Site::with_ann().await;
    let (project, group) = project(&site, &ann, "shop").await;
    let new = json!({ "project_id": project, "slug": "shop", "url": "https://git.example.org/shop.git", "group_type": "odoo" });
    let repository = made(&site, &ann, "/api/v1/repositories", new).await;
    let branch = made(&site, &ann, &format!("/api/v1/repositories/{}/branches", id(&repository)), json!({ "name": "main" })).await;
    let image = made(&site, &ann, "/api/v1/images", json!({ "reference": "shop:1" })).await;
    let built = json!({ "project_id": project, "reference": "shop:1", "repository_id": repository["id"] });
    let built = made(&site, &ann, "/api/v1/images", built).await;
    let deployments = format!("/api/v1/groups/{group}/deployments");
    for (field, of) in [("branch_id", &branch), ("image_id", &built)] {
        let answer = site.post(&ann, &deployments, &json!({ "slug": "site", field: of["id"] })).await;
        refused(&answer, field);
        assert!(answer.text.contains("odoo"), "{}", answer.text);
    }
    made(&site, &ann, &deployments, json!({ "slug": "site", "image_id": image["id"] })).await;
}

/// The service `housekeeping` runs an image, and is deployed again when its digest changes: by a token that may say so and nothing
/// else, within the rights of whoever subscribed.
#[tokio::test]
async fn a_new_digest_redeploys_its_subscribers() {
    let (site, ann) = Site::with_ann().await;
    site.post(&ann, "/api/v1/services/sync", &Value::Null).await;
    let deployment = site.get(&ann, "/api/v1/services/housekeeping/deployment").await.json();
    let (project, place) = (deployment["project_id"].as_str().unwrap(), format!("/api/v1/deployments/{}", id(&deployment)));
    let image = made(&site, &ann, "/api/v1/images", json!({ "project_id": project, "reference": "registry.example.org/x:main" })).await;
    let record = format!("/api/v1/images/{}/digest", id(&image));
    let subscribe = json!({ "image_id": image["id"], "redeploy_on_digest": true });
    let version = format!("\"{}\"", deployment["version"]);
    let subscribed = site.put("PATCH", &ann, &place, &[("if-match", &version)], &subscribe).await;
    assert_eq!(subscribed.status, 200, "{}", subscribed.text);
    let new = json!({ "name": "ci", "target": { "project": project }, "origin": "github", "days": 1 });
    let ci = site.post(&ann, "/api/v1/tokens", &new).await.json()["secret"].as_str().unwrap().to_owned();
    let recorded = site.post(&ci, &record, &json!({ "digest": digest(1) })).await;
    assert_eq!(recorded.status, 200, "{}", recorded.text);
    let redeploys = recorded.json()["redeploys"].clone();
    assert_eq!((redeploys.as_array().unwrap().len(), &redeploys[0]["deployment_id"]), (1, &deployment["id"]));
    let run = site.ended(redeploys[0]["run_id"].as_str().unwrap().parse().unwrap()).await;
    assert_eq!(run.state, RunState::Succeeded, "{}", run.message);
    let read = site.get(&ann, &format!("/api/v1/runs/{}", run.id)).await.json();
    assert_eq!((&read["requested_by"]["kind"], &read["requested_by"]["of"]["name"]), (&json!("deputy"), &json!("ann")));
    let runs = async || site.get(&ann, &format!("{place}/runs")).await.json()["items"].as_array().unwrap().len();
    let again = site.post(&ci, &record, &json!({ "digest": digest(1) })).await.json();
    assert_eq!((&again["redeploys"], &again["version"], runs().await), (&json!([]), &recorded.json()["version"], 1));

    let audit = site.get(&ann, "/api/v1/audit?limit=100").await.json();
    let entry = |action: &str, about: String| {
        let entries = audit["items"].as_array().unwrap();
        entries.iter().find(|entry| entry["action"] == action && entry["resource"] == about).unwrap().clone()
    };
    let started = entry("run.start", format!("run {}", run.id));
    assert_eq!(started["reason"], json!(format!("image registry.example.org/x:main is {}", digest(1))));
    let told = entry("image.record", format!("image {}", id(&image)));
    assert_eq!((&told["reason"], &told["origin"]), (&json!(format!("{} after none; redeploys: 1", digest(1))), &json!("github")));

    let session = format!("eyrie_session={ann}");
    let page = site.ask("GET", &format!("/deployments/{}", id(&deployment)), &[("cookie", &session)], "").await.text;
    assert!(page.contains("registry.example.org/x:main") && page.contains("010101010101") && page.contains("Deployed again"), "{page}");

    for (method, place) in [("PATCH", format!("/api/v1/images/{}", id(&image))), ("DELETE", format!("/api/v1/images/{}", id(&image)))] {
        assert_eq!(site.put(method, &ci, &place, &[("if-match", "\"2\"")], &json!({})).await.problem().0, 403);
    }
    let shared = made(&site, &ann, "/api/v1/images", json!({ "reference": "x:1" })).await;
    let answer = site.post(&ci, &format!("/api/v1/images/{}/digest", id(&shared)), &json!({ "digest": digest(1) })).await;
    assert_eq!(answer.problem().0, 404, "a token reaches only what it is bound to");
    let audit = site.get(&ann, "/api/v1/audit?limit=1").await.json()["items"][0].clone();
    assert_eq!((&audit["action"], &audit["verdict"]), (&json!("image.record"), &json!("refused")));
    assert_eq!(audit["resource"], json!(format!("image {}", id(&shared))));
}
