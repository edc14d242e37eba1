//! Processes that are killed, stopped, and starved of room; and an oracle outside of them.

mod copy;
mod disk;
mod kills;
mod oracle;
mod script;
mod server;
mod takeover;
mod two;

use std::{
    cell::Cell,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use copy::copy_tables;
use eyrie_tests::{crash::journal::Journal, postgres::Server};

/// A folder with a database, a journal, and whatever the processes leave behind. Kept when a test fails.
struct Field {
    folder: PathBuf,
    /// The file, or where a server's tables are copied to, to be judged.
    database: PathBuf,
    /// The server's database, if it is one.
    server: Option<(Arc<Server>, String)>,
    journal: Journal,
    seed: u64,
    started: Cell<u32>,
}

impl Field {
    fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap().keep();
        let journal = Journal::open(&folder.join("journal"));
        Self { database: folder.join("eyrie.db"), server: None, folder, journal, seed, started: Cell::new(0) }
    }

    /// The same on a database of this server.
    fn on_server(seed: u64, server: Arc<Server>) -> Self {
        let url = block_on(server.database());
        let mut field = Self::new(seed);
        field.server = Some((server, url));
        field
    }

    fn url(&self) -> String {
        match &self.server {
            Some((_, url)) => url.clone(),
            None => format!("sqlite:{}", self.database.display()),
        }
    }

    /// The server.
    fn server(&self) -> &Server {
        &self.server.as_ref().expect("a field on a server").0
    }

    /// The database, to be looked at.
    fn open(&self) -> rusqlite::Connection {
        if let Some((_, url)) = &self.server {
            block_on(copy_tables(url, &self.database));
        }
        rusqlite::Connection::open_with_flags(&self.database, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
    }

    /// Starts a process with these arguments besides the usual ones.
    fn start(&self, arguments: &[&str]) -> Process {
        self.start_as(Command::new(env!("CARGO_BIN_EXE_crash-child")), arguments)
    }

    fn start_as(&self, mut command: Command, arguments: &[&str]) -> Process {
        let number = self.started.get();
        self.started.set(number + 1);
        let log = self.folder.join(format!("process-{number}.log"));
        let output = File::create(&log).unwrap();
        let child = command
            .arg(format!("db={}", self.url()))
            .arg(format!("journal={}", self.folder.join("journal").display()))
            .arg(format!("seed={}", self.seed))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        let ready = self.folder.join(format!("ready-{}", child.id()));
        let _ = fs::remove_file(&ready);
        Process { child, journal: self.journal.clone(), log, ready }
    }

    /// Waits until the journal has at least `count` lines of that word; answers with them.
    fn wait_for(&self, word: &str, count: usize) -> Vec<Vec<String>> {
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

/// A process of ours. It never outlives this.
struct Process {
    child: Child,
    journal: Journal,
    log: PathBuf,
    ready: PathBuf,
}

impl Process {
    fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it at once, which is written down before and after.
    fn kill(mut self) {
        self.assert_alive();
        self.journal.say(&[&"killing", &self.id()]);
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.journal.say(&[&"killed", &self.id()]);
    }

    fn assert_alive(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("the process ended by itself ({status}):\n{}", self.last_words());
        }
    }

    fn is_ready(&mut self) -> bool {
        self.assert_alive();
        self.ready.exists()
    }

    fn wait_ready(&mut self) {
        wait_until(Duration::from_secs(60), "the process's start", || self.is_ready());
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), "--", &self.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its orderly end.
    fn wait_end(mut self, limit: Duration) {
        let mut ended: Option<ExitStatus> = None;
        let begun = Instant::now();
        while ended.is_none() && begun.elapsed() < limit {
            ended = self.child.try_wait().unwrap();
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(
            ended.is_some_and(|status| status.success()),
            "the process did not end well within {limit:?} ({ended:?}):\n{}",
            self.last_words()
        );
    }

    fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait_until(limit: Duration, what: &str, mut reached: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !reached() {
        assert!(begun.elapsed() < limit, "waited {limit:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn touch(path: &Path) {
    fs::write(path, "").unwrap();
}

/// A number from the environment.
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}
