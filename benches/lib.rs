//! What the benchmarks share: what they execute, databases, new and with a long past, the raw limits of the disk, percentiles, processor time.

pub mod database;
pub mod grown;
pub mod load;
pub mod options;
pub mod percentiles;
pub mod process;
pub mod raw_limits;
pub mod raw_postgres;
pub mod raw_sqlite;
