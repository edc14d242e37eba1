//! Values of secrets: in no answer, page, log, event or row, whatever form they have; sealed rows open in their own place only.

use std::{collections::BTreeSet, fs};

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use eyrie_tests::world::Kind;
use reqwest::{Method, header};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, Statement};
use serde_json::{Value, json};

use super::{Town, scoping::placed};
use crate::engine::on_databases;

on_databases! {
    a_secret_is_shown_nowhere;
    sealed_rows_open_in_their_own_place_only;
}

/// Other in each form: as it is, in JSON, in a URL, in base 64.
const CANARY: &str = "canary \"7Zq\" +&= of the deep ö";

/// Shows it in all forms: as lines, as the name and message of a step, and as an error.
const SHOWS: &str = r#"exec python3 - "$2" <<'END'
import base64, json, sys, urllib.parse
with open(sys.argv[1]) as file:
    config = json.load(file)
found = next(value for value in config["settings"].values() if isinstance(value, str) and "canary" in value)
print("as it is:", found)
print("json:", json.dumps(found))
print("url:", urllib.parse.quote(found), urllib.parse.quote_plus(found))
print("base64:", base64.b64encode(found.encode()).decode(), base64.urlsafe_b64encode(found.encode()).decode())
print(found, file=sys.stderr)
print(json.dumps({"name": "show", "state": "success", "message": "it is " + found}))
print(json.dumps({"name": found, "state": "failure", "error_message": "not " + found}))
END
"#;

/// All that would give it away.
fn forms() -> Vec<String> {
    let quoted = serde_json::to_string(CANARY).unwrap();
    let url = "canary%20%227Zq%22%20%2B%26%3D%20of%20the%20deep%20%C3%B6";
    let bytes = CANARY.as_bytes();
    vec![
        CANARY.to_owned(),
        quoted.trim_matches('"').to_owned(),
        quoted.trim_matches('"').replace('ö', "\\u00f6"),
        url.to_owned(),
        url.replace("%20", "+"),
        BASE64.encode(bytes),
        BASE64URL_NOPAD.encode(bytes),
        HEXLOWER.encode(bytes),
        "canary &quot;7Zq".to_owned(),
    ]
}

fn assert_clean(what: &str, text: &str) {
    for form in forms() {
        assert!(!text.contains(&form), "{what} shows {form:?}");
    }
}

impl Town {
    /// A deployment of the first project whose service shows the secret that its settings name; answers with its id and the secret's.
    async fn showing(&self) -> [String; 2] {
        self.field.write("first", json!({}), SHOWS);
        let project = &self.first.0["projects"][0];
        let new = json!({ "name": "shown", "value": CANARY });
        let (status, secret) = self.alice.post(&format!("projects/{project}/secrets"), &[], &new).await;
        assert_eq!(status, 201, "{secret}");
        assert_clean("the answer that made it", &secret.to_string());
        let secret = secret["id"].as_str().unwrap().to_owned();
        let deployment = self.first.0["deployments"][0].clone();
        let path = format!("deployments/{deployment}");
        let settings = json!({ "settings": { "password": { "$secret": secret } } });
        let changed = self.alice.send(Method::PATCH, &path, &[("if-match", "\"1\"")], Some(&settings)).await;
        assert_eq!(changed.status(), 200);
        [deployment, secret]
    }

    async fn text(&self, path: &str) -> String {
        let mut answer = self.ann.send(Method::GET, path, &[], None).await;
        let mut bytes = Vec::new();
        // A stream of everything does not end by itself.
        while let Ok(Ok(Some(piece))) = tokio::time::timeout(std::time::Duration::from_secs(2), answer.chunk()).await {
            bytes.extend_from_slice(&piece);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// All rows of all tables, as text.
    async fn rows(&self) -> String {
        if let Some(file) = self.field.store.strip_prefix("sqlite:") {
            let read = |path: String| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
            return read(file.to_owned()) + &read(format!("{file}-wal"));
        }
        let db = self.database().await;
        let mut all = String::new();
        for table in column(&db, "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'").await {
            all += &column(&db, &format!("SELECT t::text FROM \"{table}\" t")).await.join("\n");
        }
        db.close().await.unwrap();
        all
    }

    async fn database(&self) -> DatabaseConnection {
        Database::connect(&self.field.store).await.unwrap()
    }
}

async fn column(db: &DatabaseConnection, query: &str) -> Vec<String> {
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), query)).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

async fn a_secret_is_shown_nowhere(kind: Kind) {
    let town = Town::new(kind).await;
    let [deployment, secret] = town.showing().await;
    for value in ["short", &format!("{CANARY}\u{0}")] {
        let place = format!("projects/{}/secrets", town.first.0["projects"][0]);
        let (status, told) = town.alice.post(&place, &[], &json!({ "name": "refused", "value": value })).await;
        assert!(status == 422 || status == 201, "{status} {told}");
        assert_clean("a refusal", &told.to_string());
        assert!(value != "short" || (status == 422 && !told.to_string().contains("short\"")), "{told}");
    }
    let run = town.alice.post(&format!("deployments/{deployment}/runs"), &[], &json!({ "context": { "env": { "A": "b" } } })).await.1;
    let run = run["id"].as_str().unwrap().to_owned();
    let feed = town.text(&format!("runs/{run}/events")).await;
    let ended = town.ann.end_of(&run).await;
    assert_eq!(ended["state"], "failed", "it was shown, and it says so: {ended}");
    let log = town.ann.log(&run).await;
    assert!(log.matches("***").count() >= 7, "all forms were printed: {log}");
    assert!(feed.contains("it is ***") && feed.contains("not ***"), "{feed}");

    // Every answer that the document knows, with the ids of what is there.
    let mut ids = town.first.clone();
    ids.0.insert("runs", vec![run.clone()]);
    ids.0.insert("secrets", vec![secret]);
    let mut read =
        BTreeSet::from([format!("runs/{run}/events"), "events".to_owned(), "audit/export".to_owned(), "openapi.json".to_owned()]);
    for (method, path) in town.operations().await {
        if method == Method::GET && path.starts_with("/api/v1/") {
            let path = placed(&path, &ids, &town.alice_ids[0]).unwrap_or_else(|| path.trim_start_matches("/api/v1/").to_owned());
            read.extend([
                path.clone(),
                format!("{path}?project={}", town.first.0["projects"][0]),
                format!("{path}?deployment={deployment}"),
            ]);
        }
    }
    assert!(read.len() > 120, "{}", read.len());
    for path in &read {
        assert_clean(path, &town.text(path).await);
    }
    let session = format!("eyrie_session={}", town.ann.token);
    let project = &town.first.0["projects"][0];
    for page in [
        "/",
        "/runs",
        "/audit",
        "/tokens",
        &format!("/runs/{run}"),
        &format!("/runs/{run}/log"),
        &format!("/deployments/{deployment}"),
        &format!("/projects/{project}"),
        &format!("/projects/{project}/audit"),
        "/metrics",
    ] {
        let shown = town.ann.http.get(format!("{}{page}", town.server.url)).header(header::COOKIE, &session).send().await.unwrap();
        assert_eq!(shown.status(), 200, "{page}");
        assert_clean(page, &shown.text().await.unwrap());
    }
    assert_clean("the command", &town.field.eyrie(&["logs", &run]).out);
    assert_clean("the store", &town.rows().await);
    assert_clean("the server's log", &town.server.stop());
}

async fn sealed_rows_open_in_their_own_place_only(kind: Kind) {
    let town = Town::new(kind).await;
    let [deployment, _] = town.showing().await;
    let run = async || {
        let (_, run) = town.alice.post(&format!("deployments/{deployment}/runs"), &[], &json!({})).await;
        let run = run["id"].as_str().unwrap().to_owned();
        (town.ann.end_of(&run).await, town.ann.log(&run).await)
    };
    let shows = |(_, log): &(Value, String)| log.contains("as it is: ***");
    assert!(shows(&run().await));
    // A key is given up when nothing is sealed by it any more, and values open all the same.
    town.field.eyrie(&["keyring", "retire", "1"]).has(2, &["rotate first"]);
    town.field.eyrie(&["keyring", "rotate"]).has(0, &["key version 2 added"]);
    town.field.eyrie(&["keyring", "retire", "1"]).has(0, &["key version 1 retired"]);
    assert!(shows(&run().await));

    let db = town.database().await;
    let sealed = if kind == Kind::Sqlite { "hex(sealed)" } else { "encode(sealed, 'hex')" };
    let values = column(&db, &format!("SELECT {sealed} FROM secret_values ORDER BY secret_id")).await;
    assert!(values.len() > 1, "{}", values.len());
    let literal = |hex: &str| if kind == Kind::Sqlite { format!("X'{hex}'") } else { format!("'\\x{hex}'::bytea") };
    let (shown, other) = (literal(values.last().unwrap()), literal(&values[0]));
    for (from, to) in [(shown.as_str(), literal("00").as_str()), (&other, &shown), (&literal("00"), &other)] {
        db.execute_unprepared(&format!("UPDATE secret_values SET sealed = {to} WHERE sealed = {from}")).await.unwrap();
    }
    db.close().await.unwrap();
    let (ended, log) = run().await;
    assert_ne!(ended["state"], "succeeded");
    assert!(!log.contains("as it is"), "the body began: {log}");
    let told = ended.to_string();
    assert!(told.contains("secret"), "{told}");
    assert_clean("the run", &told);
    assert_clean("the server's log", &town.server.stop());
}
