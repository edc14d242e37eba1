//! Failed sign-ins cost time: per name and per peer, in memory, bounded.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The most names and peers that are remembered; the oldest go first.
const REMEMBERED: usize = 4096;
/// Failures that cost nothing: of one name, of one peer (behind which many people may be).
const FREE_BY_NAME: u32 = 5;
const FREE_BY_PEER: u32 = 30;
/// The longest wait. Short, so that nobody can lock somebody else out for long.
const LONGEST: Duration = Duration::from_secs(30);
/// A failure is forgotten after that.
const FORGOTTEN: Duration = Duration::from_secs(15 * 60);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Name(String),
    Peer(IpAddr),
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
}

/// What is known of failures.
#[derive(Debug, Default)]
pub(crate) struct SignInLimit(Mutex<HashMap<Key, Failures>>);

impl SignInLimit {
    /// Counts an attempt as failed before it is made, so that many at once are counted too. [`succeeded`](Self::succeeded) takes it back.
    ///
    /// # Errors
    /// How long to wait, in seconds.
    pub(crate) fn attempt(&self, name: &str, peer: Option<IpAddr>) -> Result<(), u64> {
        let now = Instant::now();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = keys(name, peer);
        for (key, free) in &keys {
            if let Some(failures) = known.get(key) {
                let wait = pause(failures.count, *free).saturating_sub(now.duration_since(failures.last));
                if !wait.is_zero() {
                    return Err(wait.as_secs() + 1);
                }
            }
        }
        for (key, _) in keys {
            make_room(&mut known, now);
            let failures = known.entry(key).or_insert(Failures { count: 0, last: now });
            *failures = Failures { count: failures.count.saturating_add(1), last: now };
        }
        Ok(())
    }

    /// Forgets the failures of the name, and this attempt of the peer.
    pub(crate) fn succeeded(&self, name: &str, peer: Option<IpAddr>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(&Key::Name(name.to_owned()));
        if let Some(failures) = peer.and_then(|peer| known.get_mut(&Key::Peer(peer))) {
            failures.count = failures.count.saturating_sub(1);
        }
    }
}

fn keys(name: &str, peer: Option<IpAddr>) -> Vec<(Key, u32)> {
    let mut keys = vec![(Key::Name(name.to_owned()), FREE_BY_NAME)];
    keys.extend(peer.map(|peer| (Key::Peer(peer), FREE_BY_PEER)));
    keys
}

fn pause(count: u32, free: u32) -> Duration {
    match count.checked_sub(free) {
        None => Duration::ZERO,
        Some(over) => Duration::from_secs(1_u64 << over.min(5)).min(LONGEST),
    }
}

fn make_room(known: &mut HashMap<Key, Failures>, now: Instant) {
    if known.len() < REMEMBERED {
        return;
    }
    known.retain(|_, failures| now.duration_since(failures.last) < FORGOTTEN);
    if known.len() >= REMEMBERED
        && let Some(oldest) = known.iter().min_by_key(|(_, failures)| failures.last).map(|(key, _)| key.clone())
    {
        known.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_cost_time_and_a_success_ends_it() {
        let limit = SignInLimit::default();
        for _ in 0..FREE_BY_NAME {
            assert_eq!(limit.attempt("ann", None), Ok(()));
        }
        assert!(limit.attempt("ann", None).is_err());
        assert_eq!(limit.attempt("bob", None), Ok(()));
        limit.succeeded("ann", None);
        assert_eq!(limit.attempt("ann", None), Ok(()));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let limit = SignInLimit::default();
        for n in 0..REMEMBERED + 50 {
            let _ = limit.attempt(&n.to_string(), None);
        }
        assert!(limit.0.lock().unwrap_or_else(PoisonError::into_inner).len() <= REMEMBERED);
    }
}
