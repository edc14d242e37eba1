//! Roles on the command line.

use serde_json::json;

use super::{Field, HELLO, commands::remote};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_are_set_listed_explained_and_removed() {
    let field = Field::new();
    field.write("hello", json!({}), HELLO);
    let (server, ann) = field.serve().await;
    let deployment = ann.get("services/hello/deployment").await.1;
    let (project, group) = (deployment["project_id"].as_str().unwrap(), deployment["group_id"].as_str().unwrap());
    let dora = ann.post("users", &[], &json!({ "name": "dora" })).await.1["id"].as_str().unwrap().to_owned();
    for at_server in [true, false] {
        let eyrie = |arguments: &[&str]| if at_server { remote(&field, &ann, arguments) } else { field.eyrie(arguments) };
        let why = |told: &str, code: i32| eyrie(&["explain", "run.start", "--user", "dora", "--service", "hello"]).has(code, &[told]);
        why("refused: run.start needs the role developer in the project; role none, decided by no_role", 1);
        eyrie(&["member", "set", "dora", "user", "--service", "hello"]).has(2, &["eyrie: "]);
        eyrie(&["member", "set", "dora", "developer", "--project", project]).well("dora has the role developer\n");
        why("allowed: run.start needs the role developer in the project; role developer, decided by project_role", 0);
        eyrie(&["member", "set", &dora, "none", "--group", group]).has(0, &["has the role none"]);
        why("role none, decided by group_override", 1);
        eyrie(&["member", "set", "dora", "admin", "--service", "hello"]).has(0, &["has the role admin"]);
        why("role admin, decided by deployment_override", 0);
        eyrie(&["member", "list", "--group", group]).has(0, &[&dora, "none"]);
        eyrie(&["member", "list", "--project", project]).has(0, &[&dora, "developer"]);
        eyrie(&["member", "remove", "dora", "--service", "hello"]).well("removed dora\n");
        why("decided by group_override", 1);
        eyrie(&["member", "set", "dora", "none", "--project", project]).has(2, &["eyrie: "]);
        eyrie(&["member", "set", "nobody", "user", "--project", project]).has(2, &["eyrie: "]);
        eyrie(&["member", "list"]).has(2, &["required"]);
        eyrie(&["member", "remove", "dora", "--project", project]).well("removed dora\n");
        assert_eq!(eyrie(&["member", "list", "--group", group]).out.lines().count(), 1);
    }
    server.stop();
}
