//! Where a drill takes place.

use std::{
    cell::Cell,
    fs::{self, File},
    path::PathBuf,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use super::{
    copy::copy_tables,
    gone,
    journal::Journal,
    process::{Process, wait_until},
};
use crate::postgres::Server;

/// The program that is started, with its first arguments: one that ends in [`child::run`](super::child::run).
#[derive(Debug, Clone)]
pub struct Program {
    /// Its file.
    pub path: PathBuf,
    /// What it is told before all else.
    pub arguments: Vec<String>,
}

impl Program {
    /// To be started.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.args(&self.arguments);
        command
    }
}

/// A folder with a database, a journal, and whatever the processes leave behind. Kept when a test fails.
#[derive(Debug)]
pub struct Field {
    /// The folder.
    pub folder: PathBuf,
    /// The file, or where a server's tables are copied to, to be judged.
    pub database: PathBuf,
    /// What was done and said.
    pub journal: Journal,
    /// Of the plans.
    pub seed: u64,
    program: Program,
    server: Option<(Arc<Server>, String)>,
    /// The port of the server that processes are told of, when it is not the server's own.
    port: Cell<Option<u16>>,
    started: Cell<u32>,
}

impl Field {
    /// A new file, for processes of that program.
    pub fn new(program: Program, seed: u64) -> Self {
        Self::with(program, seed, None)
    }

    /// The same on a new database of this server.
    pub fn on_server(program: Program, seed: u64, server: Arc<Server>) -> Self {
        let url = block_on(server.database());
        Self::with(program, seed, Some((server, url)))
    }

    fn with(program: Program, seed: u64, server: Option<(Arc<Server>, String)>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder").keep();
        let journal = Journal::open(&folder.join("journal"));
        let database = folder.join("eyrie.db");
        Self { folder, database, journal, seed, program, server, port: Cell::new(None), started: Cell::new(0) }
    }

    /// Processes that are started from now on find the server behind this port.
    pub fn go_through(&self, port: u16) {
        self.port.set(Some(port));
    }

    fn url(&self) -> String {
        match &self.server {
            Some((server, url)) => match self.port.get() {
                Some(port) => url.replace(&format!(":{}/", server.port()), &format!(":{port}/")),
                None => url.clone(),
            },
            None => format!("sqlite:{}", self.database.display()),
        }
    }

    /// The server.
    pub fn server(&self) -> &Server {
        &self.server.as_ref().expect("a field on a server").0
    }

    /// Whether the database is a server's.
    pub fn is_on_server(&self) -> bool {
        self.server.is_some()
    }

    /// The lease of processes that are killed. On one machine the dead are noticed at once, by their locks: there it is longer than any
    /// pause of a machine at work, so that none who lives loses its own.
    pub fn lease(&self) -> &'static str {
        if self.is_on_server() { "lease=1000" } else { "lease=15000" }
    }

    /// The database, to be looked at.
    pub fn open(&self) -> rusqlite::Connection {
        if let Some((_, url)) = &self.server {
            block_on(copy_tables(url, &self.database));
        }
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        rusqlite::Connection::open_with_flags(&self.database, flags).expect("the database opens")
    }

    /// From now on a copy is kept of what is deleted. The tables must be there.
    pub fn keep_what_goes(&self) {
        match &self.server {
            Some((_, url)) => block_on(gone::keep_on_server(url)),
            None => gone::keep_in_file(&self.database),
        }
    }

    /// Starts a process with these arguments besides the usual ones.
    pub fn start(&self, arguments: &[&str]) -> Process {
        self.start_as(self.program.command(), arguments)
    }

    /// The same in an environment of its own.
    pub fn start_with(&self, environment: &[(&str, String)], arguments: &[&str]) -> Process {
        let mut command = self.program.command();
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        self.start_as(command, arguments)
    }

    /// The same by another command, which is given all arguments.
    pub fn start_as(&self, mut command: Command, arguments: &[&str]) -> Process {
        let number = self.started.get();
        self.started.set(number + 1);
        let log = self.folder.join(format!("process-{number}.log"));
        let output = File::create(&log).expect("a log");
        let child = command
            .arg(format!("db={}", self.url()))
            .arg(format!("journal={}", self.folder.join("journal").display()))
            .arg(format!("seed={}", self.seed))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a log"))
            .stderr(output)
            .spawn()
            .expect("the process starts");
        let ready = self.folder.join(format!("ready-{}", child.id()));
        let _ = fs::remove_file(&ready);
        Process::new(child, self.journal.clone(), log, ready)
    }

    /// Lets one process do what is left, and waits for its end.
    pub fn drain(&self, arguments: &[&str]) {
        let arguments: Vec<_> = arguments.iter().copied().chain(["drain=yes"]).collect();
        self.start(&arguments).wait_end(Duration::from_secs(120));
    }

    /// Waits until the journal has at least `count` lines of that word; answers with them.
    pub fn wait_for(&self, word: &str, count: usize) -> Vec<Vec<String>> {
        let mut lines = Vec::new();
        wait_until(Duration::from_secs(60), &format!("{count} lines {word:?} in {}", self.folder.display()), || {
            lines = self.journal.those(word);
            lines.len() >= count
        });
        lines
    }
}

impl Drop for Field {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}; everything is kept in {}", self.seed, self.folder.display());
        } else {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// Waits for the work's end on this thread.
pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}
