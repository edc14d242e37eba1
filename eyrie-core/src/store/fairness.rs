//! Whose turn it is when several projects have runs that could begin: shared by every store, so that they cannot differ in it.

use crate::{clock::Timestamp, id::ProjectId};

/// A project with queued runs whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// The project.
    pub project: ProjectId,
    /// How many such runs it has; a store need not count further than there is room.
    pub ready: u32,
    /// How many of its runs workers hold.
    pub held: u32,
    /// When the oldest of the ready runs was queued.
    pub since: Timestamp,
}

/// How many runs of which project to claim when there is room for so many. Each place goes to the project that would then have the
/// fewest runs under way; among those the one that waits the longest. So a project with ten thousand queued runs does not keep
/// another one's first from the next place that becomes free.
#[must_use]
pub fn fair_shares(waiting: &[Waiting], room: u32) -> Vec<(ProjectId, u32)> {
    let mut shares: Vec<(Waiting, u32)> = waiting.iter().map(|waiting| (*waiting, 0)).collect();
    for _ in 0..room {
        let open = shares.iter_mut().filter(|(waiting, share)| *share < waiting.ready);
        match open.min_by_key(|(waiting, share)| (waiting.held.saturating_add(*share), waiting.since, waiting.project)) {
            Some((_, share)) => *share += 1,
            None => break,
        }
    }
    shares.into_iter().filter(|(_, share)| *share > 0).map(|(waiting, share)| (waiting.project, share)).collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::clock::from_micros;

    fn waiting(project: u128, ready: u32, held: u32, since: i64) -> Waiting {
        Waiting { project: ProjectId::from_uuid(Uuid::from_u128(project)), ready, held, since: from_micros(since) }
    }

    fn shares(waiting: &[Waiting], room: u32) -> Vec<(u128, u32)> {
        fair_shares(waiting, room).into_iter().map(|(project, share)| (project.uuid().as_u128(), share)).collect()
    }

    #[test]
    fn places_go_to_who_has_the_fewest() {
        assert_eq!(shares(&[], 5), []);
        assert_eq!(shares(&[waiting(1, 10_000, 0, 0)], 64), [(1, 64)]);
        assert_eq!(shares(&[waiting(1, 10_000, 0, 0), waiting(2, 1, 0, 9)], 64), [(1, 63), (2, 1)]);
        assert_eq!(shares(&[waiting(1, 100, 8, 0), waiting(2, 100, 2, 9)], 4), [(2, 4)]);
        assert_eq!(shares(&[waiting(1, 100, 3, 0), waiting(2, 100, 2, 9)], 3), [(1, 1), (2, 2)]);
        // Who waits longer goes first, and then the order of ids decides, so that the answer is always the same.
        assert_eq!(shares(&[waiting(1, 5, 0, 7), waiting(2, 5, 0, 3)], 1), [(2, 1)]);
        assert_eq!(shares(&[waiting(2, 5, 0, 3), waiting(1, 5, 0, 3)], 1), [(1, 1)]);
    }
}
