//! What the benchmarks share: databases, new and with a long past, the raw limits of the disk, percentiles, processor time.

pub mod database;
pub mod grown;
pub mod options;
pub mod percentiles;
pub mod process;
pub mod raw_limits;
pub mod raw_postgres;
pub mod raw_sqlite;
