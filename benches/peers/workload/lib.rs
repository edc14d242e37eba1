//! The two workloads as the peers in Rust run them: what a program is asked, how its time is bounded, and the line it answers.

use std::{
    env,
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;

/// What a program answers when something went wrong.
pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// How many steps each run has where there are many runs.
const STEPS: usize = 5;

/// How many requests are on their way at the same time, as in Eyrie's own benchmark.
pub const REQUESTS: usize = 256;

/// Which settings a peer is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Those that it comes with.
    Stock,
    /// The durability that Eyrie has, and whatever else its documentation offers where that makes it faster.
    Equal,
}

/// What a program is asked to do.
#[derive(Debug)]
pub struct Request {
    /// The address of an empty database.
    pub database: String,
    /// The settings.
    pub profile: Profile,
    /// How many runs there are.
    pub runs: usize,
    /// How many steps in a row each run has.
    pub steps: usize,
    /// How long the work may take.
    pub limit: Duration,
    workload: String,
}

/// How many step bodies began.
#[derive(Debug, Clone, Default)]
pub struct Begun(Arc<AtomicUsize>);

impl Begun {
    /// Says that one more began: all that a step does.
    pub fn one_more(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Request {
    /// Reads the arguments: `DATABASE stock|equal sequential|parallel COUNT SECONDS`.
    ///
    /// # Errors
    /// When they are others.
    pub fn from_arguments() -> Result<Self> {
        let arguments: Vec<_> = env::args().skip(1).collect();
        let [database, profile, workload, count, seconds] = arguments.as_slice() else {
            return Err("arguments: DATABASE stock|equal sequential|parallel COUNT SECONDS".into());
        };
        let profile = match profile.as_str() {
            "stock" => Profile::Stock,
            "equal" => Profile::Equal,
            other => return Err(format!("there are no settings {other}").into()),
        };
        let count = count.parse()?;
        let (runs, steps) = match workload.as_str() {
            "sequential" => (1, count),
            "parallel" => (count, STEPS),
            other => return Err(format!("there is no workload {other}").into()),
        };
        let limit = Duration::from_secs(seconds.parse()?);
        Ok(Self { database: database.clone(), profile, runs, steps, limit, workload: workload.clone() })
    }

    /// Does the work, from its first request to its last end, and prints the line about it. Work that takes longer than it may is given
    /// up, and counts for the steps that had begun.
    ///
    /// # Errors
    /// When the work fails, or ends without every step having begun.
    pub async fn measure(&self, settings: &str, durability: &str, begun: &Begun, work: impl Future<Output = Result<()>>) -> Result<()> {
        let since = Instant::now();
        let ended = tokio::time::timeout(self.limit, work).await;
        let took = since.elapsed();
        let (asked, done) = (self.runs * self.steps, begun.0.load(Ordering::Relaxed));
        let complete = ended.is_ok();
        ended.unwrap_or(Ok(()))?;
        if complete && done < asked {
            return Err(format!("it says that it ended, but {done} of {asked} steps began").into());
        }
        let line = json!({
            "workload": self.workload,
            "settings": settings,
            "durability": durability,
            "steps": done.min(asked),
            "of": asked,
            "complete": complete,
            "seconds": took.as_secs_f64(),
        });
        println!("{line}");
        Ok(())
    }
}
