//! A way to a server on which connections break.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use eyrie_core::testing::Rng;

/// What asks a PostgreSQL server to commit, as it goes over the wire.
const COMMIT: &[u8] = b"COMMIT\0";

/// What is to become of a connection.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// It breaks when the server has said so many bytes.
    AfterBytes(u64),
    /// It breaks when so many commits have been asked for, before the last answer gets through.
    UnansweredCommit(u64),
}

#[derive(Debug)]
struct Shared {
    to: u16,
    is_wild: AtomicBool,
    rng: Mutex<Rng>,
    cut: AtomicU64,
    unanswered: AtomicU64,
}

/// A proxy before a server on the loopback.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Before the server at this port; connections are kept until the proxy is told to be wild.
    pub fn before(to: u16, seed: u64) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared {
            to,
            is_wild: AtomicBool::new(false),
            rng: Mutex::new(Rng::new(seed)),
            cut: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
        });
        let accepting = Arc::downgrade(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Some(shared) = accepting.upgrade() else { return };
                thread::spawn(move || drop(carry(&client, &shared)));
            }
        });
        Self { port, shared }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether connections break from now on, one after the other.
    pub fn set_wild(&self, wild: bool) {
        self.shared.is_wild.store(wild, Ordering::SeqCst);
    }

    /// How many connections broke anywhere, and how many between a commit and its answer.
    pub fn broken(&self) -> (u64, u64) {
        (self.shared.cut.load(Ordering::SeqCst), self.shared.unanswered.load(Ordering::SeqCst))
    }
}

impl Shared {
    fn is_wild(&self) -> bool {
        self.is_wild.load(Ordering::SeqCst)
    }

    fn fate(&self) -> Fate {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        if rng.once_in(2) { Fate::AfterBytes(rng.between(2_000, 150_000)) } else { Fate::UnansweredCommit(rng.between(1, 30)) }
    }
}

/// Carries what both sides say until one of them, or fate, ends it. Its fate counts from when the proxy was first seen to be wild.
fn carry(client: &TcpStream, shared: &Arc<Shared>) -> io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", shared.to))?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let fate = shared.fate();
    // Set while the server's next answer is to be swallowed.
    let swallow = AtomicBool::new(false);
    let end = || {
        let _ = client.shutdown(Shutdown::Both);
        let _ = server.shutdown(Shutdown::Both);
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            drop(upwards(client, &server, shared, fate, &swallow));
            // An answer under way is waited for by the other direction, which then ends both.
            if !swallow.load(Ordering::SeqCst) {
                end();
            }
        });
        drop(downwards(&server, client, shared, fate, &swallow));
        end();
    });
    Ok(())
}

fn upwards(mut client: &TcpStream, mut server: &TcpStream, shared: &Shared, fate: Fate, swallow: &AtomicBool) -> io::Result<()> {
    let (mut buffer, mut commits) = ([0; 16 * 1024], 0);
    loop {
        let length = client.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        let said = &buffer[..length];
        if let Fate::UnansweredCommit(at) = fate
            && shared.is_wild()
            && said.windows(COMMIT.len()).any(|part| part == COMMIT)
        {
            commits += 1;
            if commits == at {
                swallow.store(true, Ordering::SeqCst);
            }
        }
        server.write_all(said)?;
    }
}

fn downwards(mut server: &TcpStream, mut client: &TcpStream, shared: &Shared, fate: Fate, swallow: &AtomicBool) -> io::Result<()> {
    let (mut buffer, mut passed) = ([0; 16 * 1024], 0);
    loop {
        let length = server.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        if swallow.load(Ordering::SeqCst) {
            shared.unanswered.fetch_add(1, Ordering::SeqCst);
            return Ok(());
        }
        if shared.is_wild() {
            passed += length as u64;
            if let Fate::AfterBytes(at) = fate
                && passed >= at
            {
                shared.cut.fetch_add(1, Ordering::SeqCst);
                // The client sees a part of what was said, late.
                client.write_all(&buffer[..length / 2])?;
                thread::sleep(Duration::from_millis(1));
                return Ok(());
            }
        }
        client.write_all(&buffer[..length])?;
    }
}
