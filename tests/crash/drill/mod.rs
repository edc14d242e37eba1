//! What is done to processes while they work. Each drill ends with everything done, to be judged by the [`oracle`](super::oracle).

mod kills;
mod points;
mod power;
mod pruning;
mod server;

pub use kills::random_kills;
pub use points::{Died, crash_points};
pub use power::{Failures, go_on_after_a_failure, power_failures};
pub use pruning::kills_while_pruning;
pub use server::{broken_connections, restarts, skewed_clocks, sleepers};
