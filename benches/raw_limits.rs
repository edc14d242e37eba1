//! What a database does without anything in front of it.

/// The raw limits.
#[derive(Debug, Clone, Copy)]
pub struct RawLimits {
    /// Commits of one row each, per second.
    pub single_commits_per_s: f64,
    /// Rows per second in commits of 100 rows.
    pub batched_rows_per_s: f64,
}

impl RawLimits {
    /// The mean of two measurements.
    #[must_use]
    pub fn mean(self, other: Self) -> Self {
        Self {
            single_commits_per_s: (self.single_commits_per_s + other.single_commits_per_s) / 2.0,
            batched_rows_per_s: (self.batched_rows_per_s + other.batched_rows_per_s) / 2.0,
        }
    }
}
