//! The `eyrie` program from outside: a server, its REST interface and the commands.

mod commands;
mod decisions;
mod fuzz;
mod inventory;
mod keyring;
mod members;
mod rest;
mod restart;
mod schedules;
mod security;
mod start;

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use eyrie_core::{
    Acting, Eyrie,
    deployment_type::service::{ScriptOptions, ServicesRoot},
    model::Principal,
};
use eyrie_tests::{scripts::write_service, world::open};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery";
/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(60);

/// The program: named by `EYRIE_BIN`, else beside this one; built if it is not there.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(named) = std::env::var_os("EYRIE_BIN") {
            return named.into();
        }
        let own = std::env::current_exe().unwrap();
        let folder = own.parent().and_then(Path::parent).unwrap();
        let program = folder.join("eyrie");
        if !program.exists() {
            let mut build = Command::new(option_env!("CARGO").unwrap_or("cargo"));
            build.args(["build", "-p", "eyrie-portal"]).env("CARGO_TARGET_DIR", folder.parent().unwrap());
            if folder.ends_with("release") {
                build.arg("--release");
            }
            assert!(build.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap().success(), "the program cannot be built");
        }
        program
    })
}

/// A store and a services directory.
struct Field {
    dir: tempfile::TempDir,
    store: String,
}

impl Field {
    /// One with a store file.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = format!("sqlite:{}", dir.path().join("eyrie.db").display());
        let field = Self { dir, store };
        fs::create_dir(field.services()).unwrap();
        field
    }

    /// One with a database of its own on the tests' server.
    async fn on_postgres() -> Self {
        Self { store: eyrie_tests::postgres::Server::shared_by_all().database().await, ..Self::new() }
    }

    fn services(&self) -> PathBuf {
        self.dir.path().join("services")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, config: Value, script: &str) {
        write_service(&self.services(), name, &config, script);
    }

    /// The program with these arguments, and nothing of this process's own settings.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        for setting in ["STORE", "SERVICES", "SERVER", "TOKEN", "LISTEN", "PUBLIC_URL", "RUN_AS", "LOG", "KEYRING"] {
            command.env_remove(format!("EYRIE_{setting}"));
        }
        command
            .args(["--store", &self.store, "--services", self.services().to_str().unwrap()])
            .args(arguments)
            .current_dir(self.dir.path());
        // Beside a store file there is one.
        if !self.store.starts_with("sqlite:") {
            command.env("EYRIE_KEYRING", self.file("keyring"));
        }
        command
    }

    /// A command against the store file, with that standard input.
    fn eyrie_with(&self, arguments: &[&str], input: &str) -> Said {
        said(self.command(arguments), input)
    }

    fn eyrie(&self, arguments: &[&str]) -> Said {
        self.eyrie_with(arguments, "")
    }

    /// Starts a server with an operator named ann, and signs her in.
    async fn serve(&self) -> (Server, Client) {
        self.eyrie_with(&["user", "add", "ann", "--operator"], PASSWORD).well("added ann\n");
        let server = Server::start(self);
        let client = Client::sign_in(&server.url, "ann").await;
        (server, client)
    }

    /// A look at the store file, beside whoever works on it.
    async fn look(&self) -> Acting {
        let store = Arc::new(open(&self.file("eyrie.db")).await);
        let services = ServicesRoot::open(self.services()).unwrap();
        let builder = Eyrie::builder(store).services(services, ScriptOptions::default());
        builder.without_worker().start().await.unwrap().acting_as(Principal::local_operator())
    }
}

/// What a command said.
#[derive(Debug)]
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    /// It exited with 0 and said this.
    #[track_caller]
    fn well(&self, out: &str) {
        assert_eq!((self.code, self.out.as_str(), self.err.as_str()), (0, out, ""));
    }

    #[track_caller]
    fn has(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, code, "{self:?}");
        assert!(words.iter().all(|word| self.out.contains(word) || self.err.contains(word)), "{words:?} in {self:?}");
    }
}

/// Executes the command, which must end in time.
fn said(mut command: Command, input: &str) -> Said {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let id = child.id();
    let (ended, end) = std::sync::mpsc::channel();
    let waiting = std::thread::spawn(move || drop(ended.send(child.wait_with_output())));
    let Ok(output) = end.recv_timeout(LIMIT) else {
        signal("KILL", id);
        panic!("{command:?} did not end");
    };
    waiting.join().unwrap();
    let Output { status, stdout, stderr } = output.unwrap();
    Said { code: status.code().unwrap_or(-1), out: String::from_utf8(stdout).unwrap(), err: String::from_utf8(stderr).unwrap() }
}

/// Sends a signal to a process that this test started.
fn signal(name: &str, process: u32) {
    assert!(Command::new("kill").args([&format!("-{name}"), "--", &process.to_string()]).status().unwrap().success());
}

/// A running server. It never outlives this.
struct Server {
    child: Child,
    url: String,
    out: PathBuf,
    err: PathBuf,
}

impl Server {
    /// Starts a server on a free port and waits until it listens.
    fn start(field: &Field) -> Self {
        Self::start_as(field, field.command(&["serve", "--shutdown-grace", "1"]))
    }

    /// As `command` says.
    fn start_as(field: &Field, mut command: Command) -> Self {
        let number = (0..).find(|number| !field.file(&format!("out-{number}")).exists()).unwrap();
        let (out, err) = (field.file(&format!("out-{number}")), field.file(&format!("err-{number}")));
        let child = command
            .args(["--listen", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(File::create(&out).unwrap())
            .stderr(File::create(&err).unwrap())
            .spawn()
            .unwrap();
        let mut server = Self { child, url: String::new(), out, err };
        let begun = Instant::now();
        while server.url.is_empty() {
            let ended = server.child.try_wait().unwrap();
            assert!(ended.is_none() && begun.elapsed() < LIMIT, "the server does not listen ({ended:?}): {}", server.log());
            std::thread::sleep(Duration::from_millis(10));
            let said = server.said();
            let line = said.lines().find_map(|line| line.strip_prefix("listening on "));
            if said.ends_with('\n') {
                server.url = line.unwrap_or_default().to_owned();
            }
        }
        server
    }

    /// Its standard output.
    fn said(&self) -> String {
        fs::read_to_string(&self.out).unwrap()
    }

    /// Its standard error.
    fn log(&self) -> String {
        fs::read_to_string(&self.err).unwrap()
    }

    /// The token for the first account, if there was none.
    fn setup_token(&self) -> Option<String> {
        let said = self.said();
        let (_, token) = said.split_once("one-time token: ")?;
        Some(token.lines().next().unwrap().to_owned())
    }

    /// Tells it to stop and waits for its end; answers with its log, which holds no secret.
    fn stop(self) -> String {
        signal("TERM", self.child.id());
        self.stopped()
    }

    /// Waits for the end of one that was told to stop.
    fn stopped(mut self) -> String {
        let status = self.end();
        assert!(status.success(), "{status}: {}", self.log());
        self.checked_log()
    }

    /// Kills it at once.
    fn kill(mut self) -> String {
        signal("KILL", self.child.id());
        self.end();
        self.checked_log()
    }

    fn end(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < LIMIT, "the server does not end: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn checked_log(&self) -> String {
        let log = self.log();
        for text in [&log, &self.said()] {
            for secret in ["eys_", "eyv_", "eyr_", PASSWORD] {
                assert!(!text.contains(secret), "{secret} was said");
            }
        }
        assert!(!log.contains('\u{1b}'), "colours are for terminals");
        log
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the server's log:\n{}", self.log());
        }
    }
}

/// Somebody who talks to a server over HTTP.
#[derive(Clone)]
struct Client {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Client {
    fn with_token(url: &str, token: &str) -> Self {
        let http =
            reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { http, url: url.to_owned(), token: token.to_owned() }
    }

    async fn sign_in(url: &str, name: &str) -> Self {
        let client = Self::with_token(url, "");
        let session =
            client.http.post(format!("{url}/api/v1/sessions")).json(&json!({ "name": name, "password": PASSWORD })).send().await.unwrap();
        assert_eq!(session.status(), 201);
        let session: Value = session.json().await.unwrap();
        Self { token: session["token"].as_str().unwrap().to_owned(), ..client }
    }

    async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Response {
        let mut request = self.http.request(method, format!("{}/api/v1/{path}", self.url)).bearer_auth(&self.token);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        request.send().await.unwrap()
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        answer(self.send(Method::GET, path, &[], None).await).await
    }

    async fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> (StatusCode, Value) {
        answer(self.send(Method::POST, path, headers, Some(body)).await).await
    }

    /// Starts a run of the service; answers with its id.
    async fn deploy(&self, service: &str, env: Value) -> String {
        let (status, run) = self.post(&format!("services/{service}/runs"), &[], &json!({ "context": { "env": env } })).await;
        assert_eq!(status, 202, "{run}");
        run["id"].as_str().unwrap().to_owned()
    }

    /// Waits for the run's end; answers with it.
    async fn end_of(&self, run: &str) -> Value {
        let begun = Instant::now();
        loop {
            let (status, view) = self.get(&format!("runs/{run}")).await;
            assert_eq!(status, 200, "{view}");
            if !view["finished_at"].is_null() {
                return view;
            }
            assert!(begun.elapsed() < LIMIT, "run {run} does not end: {view}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the run is in that state; answers with it.
    async fn until(&self, run: &str, state: &str) -> Value {
        let begun = Instant::now();
        loop {
            let (_, view) = self.get(&format!("runs/{run}")).await;
            if view["state"] == state {
                return view;
            }
            assert!(begun.elapsed() < LIMIT, "run {run} is never {state}: {view}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn log(&self, run: &str) -> String {
        self.send(Method::GET, &format!("runs/{run}/log"), &[], None).await.text().await.unwrap()
    }
}

async fn answer(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    (status, response.json().await.unwrap_or_default())
}

/// The names, states and messages of what a run's script reported.
fn reported(view: &Value) -> Vec<String> {
    let steps = view["steps"].as_array().unwrap().iter().filter(|step| !step["parent"].is_null());
    steps
        .map(|step| {
            format!("{}: {} {}", step["name"].as_str().unwrap(), step["state"].as_str().unwrap(), step["message"].as_str().unwrap())
                .trim()
                .to_owned()
        })
        .collect()
}

const HELLO: &str = "echo '{\"name\": \"Greet\", \"state\": \"success\", \"message\": \"hello\"}'\necho a line";
