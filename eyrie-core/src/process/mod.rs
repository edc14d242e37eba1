//! Child processes that can be recorded before they begin, killed as a whole
//! and found again after their parent died.
//!
//! A script runs in a process group of its own. [`HeldProcess::spawn`] starts
//! a *gate* in that group: a shell that waits for one line before it becomes
//! the script. Its [`ProcessIdentity`] is final at that point, because process
//! id and start time survive the `exec`, so a caller can write it to durable
//! storage first and call [`HeldProcess::release`] afterwards. When the caller
//! dies in between, the gate reads end-of-file and the script never begins.
//!
//! [`RunningProcess`] delivers output in batches and ends with the script's
//! main process, not with the end of its output. Whatever the main process
//! leaves behind in its group is killed. A process that moved to another
//! session or group has left the script's control: it is neither waited for
//! nor killed.
//!
//! [`end_orphan`] ends the group of a recorded identity whose parent is gone,
//! and never touches a process that merely got the same process id later.
//!
//! Linux only: it relies on `/proc` and prefers pidfds, falling back to
//! polling where the kernel has none.

mod exit;
mod held;
mod identity;
mod leader;
mod lines;
mod orphan;
mod output;
mod pipe;
mod procfs;
mod running;
mod spec;
mod watch;

#[cfg(test)]
mod tests;

pub use exit::Exit;
pub use held::HeldProcess;
pub use identity::ProcessIdentity;
pub use lines::MAX_LINE;
pub use orphan::{Orphan, OrphanError, end_orphan};
pub use output::{OutputLine, Stream};
pub use running::RunningProcess;
pub use spec::{ProcessSpec, RunAs, SpawnError};
