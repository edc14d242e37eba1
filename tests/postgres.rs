//! A PostgreSQL server that is thrown away: its own folder, a free port, an unprivileged user. One for a whole test binary; each
//! test has a fresh database in it.

use std::{
    fs,
    net::TcpListener,
    os::unix::{fs::MetadataExt, fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use sea_orm::{ConnectionTrait, Database};

/// The name of the server's only user, who may do everything.
const USER: &str = "eyrie";
const PASSWORD: &str = "not-a-secret";

/// A server that runs until it is dropped, or the process ends.
#[derive(Debug)]
pub struct Server {
    folder: tempfile::TempDir,
    programs: PathBuf,
    port: u16,
    settings: Vec<String>,
    process: Mutex<Option<Child>>,
    databases: AtomicU32,
}

impl Server {
    /// The one that all tests of this binary share. It does not wait for the device: only the machine's own crash could tell.
    pub fn shared_by_all() -> Arc<Self> {
        static SHARED: OnceLock<Arc<Server>> = OnceLock::new();
        Arc::clone(SHARED.get_or_init(|| Arc::new(Self::start(&["fsync=off", "full_page_writes=off", "max_connections=400"]))))
    }

    /// A server of one's own with these settings, each `name=value`.
    pub fn start(settings: &[&str]) -> Self {
        let programs = programs().expect("PostgreSQL is installed (apt-get install postgresql)");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = folder.path().join("data");
        let password = folder.path().join("password");
        fs::write(&password, PASSWORD).expect("the password is written");
        if let Some((user, group)) = unprivileged() {
            for path in [folder.path(), &password] {
                chown(path, Some(user), Some(group)).expect("the folder changes hands");
            }
        }
        // Passwords go over the loopback as they are: the other ways cost the client 4096 rounds of a hash a connection.
        let mut initdb = as_unprivileged(&programs.join("initdb"));
        initdb.arg("-D").arg(&data).args(["-U", USER, "--auth=password", "--encoding=UTF8", "--locale=C", "--no-sync"]);
        let made = initdb.arg("--pwfile").arg(&password).output().expect("initdb runs");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let port = free_port();
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let server = Self { folder, programs, port, settings, process: Mutex::new(None), databases: AtomicU32::new(0) };
        server.run();
        server
    }

    /// The address of a database of that name.
    pub fn url_of(&self, database: &str) -> String {
        self.url_as(USER, PASSWORD, database)
    }

    /// The address of a database of that name, for another user.
    pub fn url_as(&self, user: &str, password: &str, database: &str) -> String {
        format!("postgres://{user}:{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Makes a database, and answers its address.
    pub async fn database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}")).await;
        self.url_of(&name)
    }

    /// Carries out statements in the database.
    pub async fn sql(&self, database: &str, statements: &str) {
        let db = Database::connect(self.url_of(database)).await.expect("the server answers");
        db.execute_unprepared(statements).await.expect("the statements are carried out");
        db.close().await.expect("the connection closes");
    }

    /// Stops the server as a power switch would stop its processes, and starts it again. What was committed stays.
    pub fn restart(&self) {
        self.stop("SIGQUIT");
        self.run();
    }

    fn stop(&self, signal: &str) {
        let Some(mut process) = self.process.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let told = Command::new("kill").arg("-s").arg(signal.trim_start_matches("SIG")).arg(process.id().to_string()).status();
        drop(told);
        drop(process.wait());
    }

    fn run(&self) {
        let mut postgres = Command::new("setpriv");
        // The signal comes when the thread that started the server ends, so a thread of its own does that.
        postgres.args(["--pdeathsig", "QUIT"]).arg(self.programs.join("postgres"));
        become_unprivileged(&mut postgres);
        postgres.arg("-D").arg(self.folder.path().join("data")).arg("-p").arg(self.port.to_string());
        postgres.args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]);
        for setting in &self.settings {
            postgres.arg("-c").arg(setting);
        }
        let log = fs::OpenOptions::new().create(true).append(true).open(self.folder.path().join("log")).expect("a log");
        postgres.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log);
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            drop(tell.send(postgres.spawn()));
            loop {
                std::thread::park();
            }
        });
        let process = told.recv().expect("a thread").expect("the server starts");
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = Some(process);
        let begun = Instant::now();
        while !self.is_ready() {
            let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(begun.elapsed() < Duration::from_secs(30), "the server does not answer:\n{}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn is_ready(&self) -> bool {
        let asked = Command::new(self.programs.join("pg_isready")).args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]).status();
        asked.is_ok_and(|status| status.success())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop("SIGQUIT");
    }
}

/// Where the server's programs are.
pub fn programs() -> Option<PathBuf> {
    let has_all = |folder: &Path| ["initdb", "postgres", "pg_isready"].iter().all(|program| folder.join(program).exists());
    let mut debian: Vec<_> =
        fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|version| version.path().join("bin")).collect();
    debian.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).chain(debian.into_iter().rev()).find(|folder| has_all(folder))
}

fn as_unprivileged(program: &Path) -> Command {
    let mut command = Command::new(program);
    become_unprivileged(&mut command);
    command
}

fn become_unprivileged(command: &mut Command) {
    command.current_dir("/");
    if let Some((user, group)) = unprivileged() {
        command.uid(user).gid(group);
    }
}

/// The server does not run as root: then it is given to the user `postgres`, or else `nobody`.
fn unprivileged() -> Option<(u32, u32)> {
    let is_root = fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0);
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let ids = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut words = line.split(':').skip(2);
        Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
    };
    if is_root { ids("postgres").or_else(|| ids("nobody")) } else { None }
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr()).expect("a free port").port()
}
