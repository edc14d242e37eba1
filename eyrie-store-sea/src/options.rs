//! How a store is opened.

use std::time::Duration;

/// How patiently SQLite waits for the device before a commit counts as done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Synchronous {
    /// Every commit survives a power failure.
    #[default]
    Full,
    /// A power failure may undo the latest commits; the file stays whole. A crash of the program alone loses nothing.
    Normal,
}

/// How a [`SeaStore`](crate::SeaStore) is opened.
///
/// ```
/// use eyrie_store_sea::{Options, Synchronous};
///
/// let options = Options::new("sqlite:eyrie.db").synchronous(Synchronous::Normal).read_connections(2);
/// # let _ = options;
/// ```
#[derive(Debug, Clone)]
pub struct Options {
    pub(crate) url: String,
    pub(crate) synchronous: Synchronous,
    pub(crate) read_connections: u32,
    pub(crate) busy_timeout: Duration,
    pub(crate) change_interval: Duration,
    pub(crate) max_pages: Option<u32>,
}

impl Options {
    /// The database at `url` (`sqlite:PATH`), with everything else as it is best for most.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            synchronous: Synchronous::Full,
            read_connections: 4,
            busy_timeout: Duration::from_secs(5),
            change_interval: Duration::from_millis(50),
            max_pages: None,
        }
    }

    /// What a commit waits for; [`Synchronous::Full`] unless said otherwise.
    #[must_use]
    pub fn synchronous(mut self, synchronous: Synchronous) -> Self {
        self.synchronous = synchronous;
        self
    }

    /// How many reads go on at the same time; 4 unless said otherwise, at least 1.
    #[must_use]
    pub fn read_connections(mut self, connections: u32) -> Self {
        self.read_connections = connections.max(1);
        self
    }

    /// How long to wait for another process that is writing; 5 seconds unless said otherwise.
    #[must_use]
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// How often to look whether somebody wrote to the file; every 50 ms unless said otherwise.
    #[must_use]
    pub fn change_interval(mut self, interval: Duration) -> Self {
        self.change_interval = interval.max(Duration::from_millis(1));
        self
    }

    /// Lets the database grow to this many pages (of 4 KiB) at most; writes beyond that fail with `StorageFull`.
    #[must_use]
    pub fn max_pages(mut self, pages: u32) -> Self {
        self.max_pages = Some(pages);
        self
    }
}
