//! The queue: what settings say about it, and why a run waits in it.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    clock::Timestamp,
    error::Invalid,
    id::{ClusterId, GroupId, ProjectId, RunId},
    model::Settings,
    word_enum::word_enum,
};

/// The setting that says which [`QueuePolicy`] a deployment has; inherited like any other.
pub const QUEUE_POLICY: &str = "queue_policy";
/// The setting of a project or group that says how many of its runs may be under way at the same time; null, or missing: any number.
/// It holds for all of them together, and is not inherited.
pub const MAX_RUNNING: &str = "max_running";

/// The largest limit that can be set.
pub const MOST_RUNNING: u32 = 1_000_000;

word_enum! {
    /// What becomes of the runs of one deployment that wait while another one is under way.
    pub enum QueuePolicy("queue_policy") {
        /// Each has its turn, one behind the other.
        Serial = "serial",
        /// Only the newest of each kind: it takes the place of those that have not begun, which are cancelled.
        CoalesceLatest = "coalesce_latest",
    }
}

impl Settings {
    /// The policy that this level sets: what it sets to null hides what is set further away.
    #[must_use]
    pub fn queue_policy(&self) -> Option<QueuePolicy> {
        match self.get(QUEUE_POLICY)? {
            Value::String(word) => word.parse().ok(),
            _ => Some(QueuePolicy::Serial),
        }
    }

    /// How many runs may be under way at the same time, as far as this level says so.
    #[must_use]
    pub fn max_running(&self) -> Option<u32> {
        self.get(MAX_RUNNING)?.as_u64().and_then(|most| u32::try_from(most).ok())
    }
}

/// Refuses a value for a setting about the queue that says nothing.
pub(super) fn check(key: &str, value: &Value) -> Result<(), Invalid> {
    let refused = |reason: String| Err(Invalid::new(format!("settings.{key}"), reason));
    match (key, value) {
        (QUEUE_POLICY | MAX_RUNNING, Value::Null) => Ok(()),
        (QUEUE_POLICY, Value::String(word)) => {
            word.parse::<QueuePolicy>().map(drop).or_else(|invalid| refused(invalid.reason().to_owned()))
        }
        (QUEUE_POLICY, _) => refused("must be \"serial\", \"coalesce_latest\" or null".to_owned()),
        (MAX_RUNNING, most) if most.as_u64().is_none_or(|most| most > u64::from(MOST_RUNNING)) => {
            refused(format!("must be a whole number, 0 (nothing begins) to {MOST_RUNNING}, or null"))
        }
        _ => Ok(()),
    }
}

/// What a limit is set for: how many of its runs may be under way at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum Limited {
    /// A project.
    Project(ProjectId),
    /// A deployment group.
    Group(GroupId),
    /// A cluster.
    Cluster(ClusterId),
}

impl Limited {
    /// The id of what is limited.
    #[must_use]
    pub const fn uuid(self) -> uuid::Uuid {
        match self {
            Self::Project(id) => id.uuid(),
            Self::Group(id) => id.uuid(),
            Self::Cluster(id) => id.uuid(),
        }
    }
}

/// Why a run waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Wait {
    /// It must not begin before a time, and stands outside the queue until then.
    NotDue {
        /// The time.
        at: Timestamp,
    },
    /// Other runs of its deployment stand before it, and one is carried out at a time.
    Turn,
    /// As many runs as may be are under way already.
    Limit {
        /// Where.
        of: Limited,
        /// How many may be.
        most: u32,
        /// How many are.
        under_way: u32,
    },
    /// The next worker that has room takes it, or one of another project or group that has fewer under way.
    Worker,
    /// No worker is there to take it.
    NoWorker,
    /// Somebody has to approve of a step.
    Approval,
    /// It was set aside until somebody decides.
    Parked,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotDue { at } => write!(f, "waits until {at}"),
            Self::Turn => f.write_str("waits for its turn"),
            Self::Limit { of, most, under_way } => {
                let whose = match of {
                    Limited::Project(_) => "of its project",
                    Limited::Group(_) => "of its group",
                    Limited::Cluster(_) => "on its cluster",
                };
                write!(f, "waits because {under_way} runs {whose} are under way, and {most} may be")
            }
            Self::Worker => f.write_str("waits for a free worker"),
            Self::NoWorker => f.write_str("waits, and no worker is there"),
            Self::Approval => f.write_str("waits for an approval"),
            Self::Parked => f.write_str("is set aside until somebody decides"),
        }
    }
}

/// The run before another one in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ahead {
    /// Which; none: it may not be seen.
    pub run: Option<RunId>,
}

/// Where a run stands in the queue of its deployment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuePlace {
    /// 1: it has the turn. None: it has ended, or its time has not come.
    pub position: Option<u32>,
    /// The run before it.
    pub behind: Option<Ahead>,
    /// Why it waits; none: it is under way, or has ended.
    pub wait: Option<Wait>,
}

impl fmt::Display for QueuePlace {
    /// In words: "third, behind run 0198…".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let position = match (self.position, self.wait) {
            (Some(position), _) => position,
            (None, Some(wait)) => return wait.fmt(f),
            (None, None) => return f.write_str("has ended"),
        };
        match (self.behind, self.wait) {
            (Some(Ahead { run: Some(run) }), _) => write!(f, "{}, behind run {run}", Ordinal(position)),
            (Some(Ahead { run: None }), _) => write!(f, "{}, behind another run", Ordinal(position)),
            (None, Some(wait)) => write!(f, "{}, {wait}", Ordinal(position)),
            (None, None) => f.write_str("under way"),
        }
    }
}

/// A place in words.
struct Ordinal(u32);

impl fmt::Display for Ordinal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const WORDS: [&str; 10] = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"];
        let word = self.0.checked_sub(1).and_then(|place| WORDS.get(usize::try_from(place).ok()?));
        if let Some(word) = word {
            return f.write_str(word);
        }
        let ending = match (self.0 % 10, self.0 % 100) {
            (_, 11..=13) => "th",
            (1, _) => "st",
            (2, _) => "nd",
            (3, _) => "rd",
            _ => "th",
        };
        write!(f, "{}{ending}", self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_are_read_and_checked() {
        let set = |key: &str, value: Value| Settings::default().with(key, value);
        assert_eq!(Settings::default().queue_policy(), None);
        for (value, policy) in [
            (json!("coalesce_latest"), QueuePolicy::CoalesceLatest),
            (json!("serial"), QueuePolicy::Serial),
            (json!(null), QueuePolicy::Serial),
        ] {
            assert_eq!(set(QUEUE_POLICY, value).unwrap().queue_policy(), Some(policy));
        }
        for (value, most) in [(json!(3), Some(3)), (json!(0), Some(0)), (json!(null), None)] {
            assert_eq!(set(MAX_RUNNING, value).unwrap().max_running(), most);
        }
        for (key, value) in [
            (QUEUE_POLICY, json!("latest")),
            (QUEUE_POLICY, json!(1)),
            (MAX_RUNNING, json!(-1)),
            (MAX_RUNNING, json!(1.5)),
            (MAX_RUNNING, json!("3")),
            (MAX_RUNNING, json!(1_000_001)),
        ] {
            assert_eq!(set(key, value.clone()).unwrap_err().field(), format!("settings.{key}"), "{value}");
        }
    }

    #[test]
    fn places_in_words() {
        let run = RunId::new();
        let behind = |run| Some(Ahead { run });
        let place = |position, behind, wait| QueuePlace { position: Some(position), behind, wait }.to_string();
        assert_eq!(place(3, behind(Some(run)), Some(Wait::Turn)), format!("third, behind run {run}"));
        assert_eq!(place(2, behind(None), Some(Wait::Turn)), "second, behind another run");
        assert_eq!(place(1, None, Some(Wait::Worker)), "first, waits for a free worker");
        let limit = Wait::Limit { of: Limited::Group(GroupId::new()), most: 2, under_way: 2 };
        assert_eq!(place(1, None, Some(limit)), "first, waits because 2 runs of its group are under way, and 2 may be");
        assert_eq!(place(1, None, None), "under way");
        assert_eq!(QueuePlace::default().to_string(), "has ended");
        let later = QueuePlace { wait: Some(Wait::NotDue { at: Timestamp::UNIX_EPOCH }), ..QueuePlace::default() };
        assert_eq!(later.to_string(), "waits until 1970-01-01T00:00:00Z");
        let words: Vec<_> = [10, 11, 12, 13, 21, 22, 23, 24, 111, 121].iter().map(|place| Ordinal(*place).to_string()).collect();
        assert_eq!(words, ["tenth", "11th", "12th", "13th", "21st", "22nd", "23rd", "24th", "111th", "121st"]);
    }
}
