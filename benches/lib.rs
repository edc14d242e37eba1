//! What the benchmarks share: percentiles, processor time, and the raw limits of the disk.

pub mod database;
pub mod percentiles;
pub mod process;
pub mod raw_limits;
pub mod raw_postgres;
pub mod raw_sqlite;
