//! What goes wrong in deployment platforms, tried on the running server, on SQLite and on PostgreSQL: one module a kind of attack.

mod accounts;
mod audited;
mod names;
mod pages;
mod roles;
mod scoping;
mod scripts;
mod secrets;
mod streams;
mod tokens;

use std::collections::BTreeMap;

use eyrie_tests::world::Kind;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::{
    Client, Field, HELLO, Server,
    inventory::{Ids, account, member, project},
};

/// An id that nothing has.
const NOBODY: &str = "01234567-89ab-7cde-8f01-23456789abcd";

/// A server with two projects, of which each has an admin who knows nothing of the other.
struct Town {
    // Before the folder, in which its log is.
    server: Server,
    field: Field,
    /// The operator.
    ann: Client,
    /// The admin of the first project, and the ids of her user and session.
    alice: Client,
    alice_ids: [String; 2],
    /// The admin of the second.
    bob: Client,
    /// What is in the first project.
    first: Ids,
    /// What is in the second.
    second: Ids,
}

impl Town {
    async fn new(kind: Kind) -> Self {
        let field = if kind == Kind::Postgres { Field::on_postgres().await } else { Field::new() };
        field.write("hello", json!({}), HELLO);
        let (server, ann) = field.serve().await;
        let [mut first, mut second] = [Ids::default(), Ids::default()];
        let own = project(&field, &ann, "first", &mut first).await;
        let other = project(&field, &ann, "second", &mut second).await;
        let (alice, alice_ids) = account(&field, &ann, "alice", false).await;
        let (bob, bob_ids) = account(&field, &ann, "bob", false).await;
        member(&ann, &own, &alice_ids[0], "admin").await;
        member(&ann, &other, &bob_ids[0], "admin").await;
        Self { field, server, ann, alice, alice_ids, bob, first, second }
    }

    /// Every operation of the document: method and path.
    async fn operations(&self) -> Vec<(Method, String)> {
        let (_, document) = self.ann.get("openapi.json").await;
        let mut found = Vec::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for method in methods.as_object().unwrap().keys() {
                found.push((method.to_uppercase().parse().unwrap(), path.clone()));
            }
        }
        found
    }

    /// Everything that an operator can read of both projects, the audit aside.
    async fn everything(&self) -> BTreeMap<String, Value> {
        let mut all = BTreeMap::new();
        let mut read = async |path: String| {
            let (status, mut value) = self.ann.get(&path).await;
            assert_eq!(status, 200, "{path}");
            forget_uses(&mut value);
            all.insert(path, value);
        };
        for path in ["projects", "users", "tokens", "runs"] {
            read(path.to_owned()).await;
        }
        for (kind, ids) in self.first.0.iter().chain(&self.second.0) {
            for id in ids {
                read(format!("{kind}/{id}")).await;
            }
        }
        for project in [&self.first, &self.second].map(|ids| &ids.0["projects"][0]) {
            read(format!("projects/{project}/members")).await;
            read(format!("projects/{project}/groups")).await;
        }
        all
    }
}

/// Takes out when tokens were used last: looking changes that.
fn forget_uses(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("last_used_at");
            fields.values_mut().for_each(forget_uses);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_uses),
        _ => {}
    }
}

/// Status, headers but those that differ with every answer, and body.
async fn whole(response: Response) -> (u16, Vec<(String, String)>, String) {
    let changing = ["date", "x-request-id", "content-length"];
    let headers = response.headers().iter().filter(|(name, _)| !changing.contains(&name.as_str()));
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    (response.status().as_u16(), headers, response.text().await.unwrap())
}
