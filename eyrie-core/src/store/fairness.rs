//! Whose turn it is when runs of several projects and groups could begin: shared by every store, so that they cannot differ in it.

use std::collections::BTreeMap;

use crate::{
    clock::Timestamp,
    id::{ClusterId, GroupId, ProjectId},
    model::Limited,
};

/// Where runs wait that count against the same limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    /// Their project.
    pub project: ProjectId,
    /// Their group.
    pub group: GroupId,
    /// Their cluster: the first of those that their deployment went to when they were queued.
    pub cluster: Option<ClusterId>,
}

impl Lane {
    /// What may be limited of it.
    pub fn limited(&self) -> impl Iterator<Item = Limited> + use<> {
        [Some(Limited::Project(self.project)), Some(Limited::Group(self.group)), self.cluster.map(Limited::Cluster)].into_iter().flatten()
    }
}

/// A lane with queued runs whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// The lane.
    pub lane: Lane,
    /// How many such runs it has; a store need not count further than there is room.
    pub ready: u32,
    /// When the oldest of them was queued.
    pub since: Timestamp,
}

/// How many runs workers hold of something, and how many they may hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// How many they hold.
    pub under_way: u32,
    /// How many they may; none: any number.
    pub most: Option<u32>,
}

impl Load {
    /// Whether there is room for none besides so many more.
    #[must_use]
    pub fn is_full(&self, more: u32) -> bool {
        self.most.is_some_and(|most| self.under_way.saturating_add(more) >= most)
    }
}

/// The loads of everything that lanes belong to; what is missing has none.
pub type Loads = BTreeMap<Limited, Load>;

/// The first limit that keeps the lane's next run from being given to a worker.
#[must_use]
pub fn limit_reached(lane: &Lane, loads: &Loads) -> Option<(Limited, Load)> {
    lane.limited().filter_map(|of| Some((of, *loads.get(&of)?))).find(|(_, load)| load.is_full(0))
}

/// How many runs of which lane to claim when there is room for so many. Each place goes to the project that would then have the
/// fewest runs under way; among its groups to the one that would; then to whoever waits the longest. So a project, or group, with
/// ten thousand queued runs does not keep another one's first from the next place that becomes free. A lane whose project, group or
/// cluster has as many under way as it may have gets none, and keeps nothing from others.
#[must_use]
pub fn fair_shares(waiting: &[Waiting], loads: &Loads, room: u32) -> Vec<(Lane, u32)> {
    let mut places: BTreeMap<Limited, usize> = BTreeMap::new();
    let mut known: Vec<Load> = Vec::new();
    let mut lanes: Vec<Open<'_>> = Vec::with_capacity(waiting.len());
    for waiting in waiting {
        let mut place = |of: Limited| {
            *places.entry(of).or_insert_with(|| {
                known.push(loads.get(&of).copied().unwrap_or_default());
                known.len() - 1
            })
        };
        let Lane { project, group, cluster } = waiting.lane;
        let cluster = cluster.map(|cluster| place(Limited::Cluster(cluster)));
        lanes.push(Open { waiting, share: 0, project: place(Limited::Project(project)), group: place(Limited::Group(group)), cluster });
    }
    for _ in 0..room {
        let is_open = |lane: &Open<'_>| lane.share < lane.waiting.ready && !lane.places().any(|place| known[place].is_full(0));
        let open = lanes.iter_mut().filter(|lane| is_open(lane));
        let next = open.min_by_key(|lane| {
            (known[lane.project].under_way, known[lane.group].under_way, lane.share, lane.waiting.since, lane.waiting.lane)
        });
        let Some(next) = next else { break };
        next.share += 1;
        for place in next.places() {
            known[place].under_way = known[place].under_way.saturating_add(1);
        }
    }
    lanes.into_iter().filter(|lane| lane.share > 0).map(|lane| (lane.waiting.lane, lane.share)).collect()
}

/// A lane that may get places, with where its loads stand.
struct Open<'a> {
    waiting: &'a Waiting,
    share: u32,
    project: usize,
    group: usize,
    cluster: Option<usize>,
}

impl Open<'_> {
    fn places(&self) -> impl Iterator<Item = usize> + use<> {
        [Some(self.project), Some(self.group), self.cluster].into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::clock::from_micros;

    fn project(project: u128) -> ProjectId {
        ProjectId::from_uuid(Uuid::from_u128(project))
    }

    fn lane(of: u128, group: u128, cluster: Option<u128>) -> Lane {
        let cluster = cluster.map(|cluster| ClusterId::from_uuid(Uuid::from_u128(cluster)));
        Lane { project: project(of), group: GroupId::from_uuid(Uuid::from_u128(group)), cluster }
    }

    /// A project with one group: how many are ready, how many under way, since when.
    fn alone(of: u128, ready: u32, held: u32, since: i64) -> (Waiting, u32) {
        (Waiting { lane: lane(of, of * 100, None), ready, since: from_micros(since) }, held)
    }

    fn shares(waiting: &[(Waiting, u32)], room: u32) -> Vec<(u128, u32)> {
        let load = |held| Load { under_way: held, most: None };
        let loads = waiting.iter().map(|(waiting, held)| (Limited::Project(waiting.lane.project), load(*held))).collect();
        let waiting: Vec<_> = waiting.iter().map(|(waiting, _)| *waiting).collect();
        fair_shares(&waiting, &loads, room).into_iter().map(|(lane, share)| (lane.project.uuid().as_u128(), share)).collect()
    }

    #[test]
    fn places_go_to_who_has_the_fewest() {
        assert_eq!(shares(&[], 5), []);
        assert_eq!(shares(&[alone(1, 10_000, 0, 0)], 64), [(1, 64)]);
        assert_eq!(shares(&[alone(1, 10_000, 0, 0), alone(2, 1, 0, 9)], 64), [(1, 63), (2, 1)]);
        assert_eq!(shares(&[alone(1, 100, 8, 0), alone(2, 100, 2, 9)], 4), [(2, 4)]);
        assert_eq!(shares(&[alone(1, 100, 3, 0), alone(2, 100, 2, 9)], 3), [(1, 1), (2, 2)]);
        // Who waits longer goes first, and then the order of ids decides, so that the answer is always the same.
        assert_eq!(shares(&[alone(1, 5, 0, 7), alone(2, 5, 0, 3)], 1), [(2, 1)]);
        assert_eq!(shares(&[alone(2, 5, 0, 3), alone(1, 5, 0, 3)], 1), [(1, 1)]);
    }

    #[test]
    fn groups_of_a_project_share_what_it_gets() {
        let waiting = |group, ready, since| Waiting { lane: lane(1, group, None), ready, since: from_micros(since) };
        let both = [waiting(10, 10_000, 0), waiting(11, 2, 9)];
        let groups = |room| -> Vec<_> {
            fair_shares(&both, &Loads::new(), room).into_iter().map(|(lane, share)| (lane.group.uuid().as_u128(), share)).collect()
        };
        assert_eq!(groups(1), [(10, 1)]);
        assert_eq!(groups(2), [(10, 1), (11, 1)]);
        assert_eq!(groups(9), [(10, 7), (11, 2)]);
    }

    #[test]
    fn limits_hold_what_is_full_and_nothing_else() {
        let waiting = |lane| Waiting { lane, ready: 50, since: from_micros(0) };
        let (a, b, c) = (lane(1, 10, Some(7)), lane(1, 11, None), lane(2, 20, Some(7)));
        let all = [waiting(a), waiting(b), waiting(c)];
        let share = |limits: &[(Limited, u32, u32)]| {
            let loads = limits.iter().map(|(of, under_way, most)| (*of, Load { under_way: *under_way, most: Some(*most) })).collect();
            let shares = fair_shares(&all, &loads, 12);
            [a, b, c].map(|lane| shares.iter().find(|(of, _)| *of == lane).map_or(0, |(_, share)| *share))
        };
        assert_eq!(share(&[]), [3, 3, 6]);
        assert_eq!(share(&[(Limited::Project(project(1)), 2, 5)]), [2, 1, 9]);
        assert_eq!(share(&[(Limited::Project(project(1)), 9, 5)]), [0, 0, 12], "more are under way than may be");
        assert_eq!(share(&[(Limited::Group(a.group), 0, 1)]), [1, 5, 6]);
        let cluster = ClusterId::from_uuid(Uuid::from_u128(7));
        assert_eq!(share(&[(Limited::Cluster(cluster), 1, 4)]), [1, 9, 2], "a cluster's limit counts over projects");
        assert_eq!(share(&[(Limited::Cluster(cluster), 0, 0)]), [0, 12, 0]);
        let reached = limit_reached(&a, &Loads::from([(Limited::Cluster(cluster), Load { under_way: 3, most: Some(3) })]));
        assert_eq!(reached.map(|(of, load)| (of, load.under_way)), Some((Limited::Cluster(cluster), 3)));
    }
}
