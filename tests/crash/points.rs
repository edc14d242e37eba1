//! Named places on the way of a run at which a process kills itself, the n-th time that it comes there.

use std::{
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use eyrie_core::testing::{Call, CrashPoint, Fault, FaultPlan};
use rustix::process::{Signal, getpid, kill_process};

use super::journal::Journal;

/// Longer than a store may take to tell other processes of what it wrote.
const TELLING: Duration = Duration::from_millis(20);

/// A place: one of those that the kit knows, around another call to the store, or in the middle of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(&'static str);

impl Place {
    /// In the middle of a step's body.
    pub const IN_BODY: Self = Self("in_body");
    /// In the middle of an undo.
    pub const IN_UNDO: Self = Self("in_undo");
    const BEFORE: [(&'static str, Self); 2] = [("enqueue", Self("before_enqueue")), ("renew_worker", Self("before_renew"))];
    const AFTER: [(&'static str, Self); 2] = [("enqueue", Self("after_enqueue")), ("renew_worker", Self("after_renew"))];

    const PRUNING: [(&'static str, [Self; 2]); 3] = [
        ("trim_runs", [Self("before_trim"), Self("after_trim")]),
        ("forget_runs", [Self("before_forget"), Self("after_forget")]),
        ("sweep", [Self("before_sweep"), Self("after_sweep")]),
    ];

    /// All places where every process comes.
    pub fn all() -> Vec<Self> {
        let known = CrashPoint::ALL.iter().map(|point| Self::from(*point));
        let around = Self::BEFORE.into_iter().chain(Self::AFTER).map(|(_, place)| place);
        known.chain(around).chain([Self::IN_BODY, Self::IN_UNDO]).collect()
    }

    /// The places on the way of pruning, where only a process comes that does so.
    pub fn pruning() -> [Self; 6] {
        let [[a, b], [c, d], [e, f]] = Self::PRUNING.map(|(_, around)| around);
        [a, b, c, d, e, f]
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.0
    }

    /// The places before a call of the store's method, and after it.
    fn around(method: &str) -> [Option<Self>; 2] {
        let find = |places: [(&str, Self); 2]| places.into_iter().find(|(of, _)| *of == method).map(|(_, place)| place);
        match Self::PRUNING.into_iter().find(|(of, _)| *of == method) {
            Some((_, [before, after])) => [Some(before), Some(after)],
            None => [find(Self::BEFORE), find(Self::AFTER)],
        }
    }

    /// How often a process may pass there before it dies there, so that this does not take it long.
    pub fn patience(self) -> u64 {
        match self.0 {
            "before_renew" | "after_renew" => 1,
            rare if rare.contains("undo") => 2,
            _ => 8,
        }
    }
}

impl From<CrashPoint> for Place {
    fn from(point: CrashPoint) -> Self {
        Self(point.as_str())
    }
}

/// The n-th time at a place, `place:n` in words.
#[derive(Debug, Clone, Copy)]
struct Moment {
    place: Place,
    times: u64,
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = |(name, times): (&str, &str)| {
            let place = Place::all().into_iter().chain(Place::pruning()).find(|place| place.name() == name)?;
            Some(Self { place, times: times.parse().ok()? })
        };
        text.split_once(':').and_then(known).ok_or_else(|| format!("{text:?} is no moment to die"))
    }
}

/// Where this process is to die, if anywhere.
#[derive(Debug, Clone)]
pub struct Fate {
    journal: Journal,
    moment: Option<Moment>,
    passed: Arc<AtomicU64>,
}

impl Fate {
    /// Death at that moment, said in the journal just before.
    pub fn new(journal: Journal, moment: Option<&str>) -> Self {
        let moment = moment.map(|text| text.parse().unwrap_or_else(|error| panic!("{error}")));
        Self { journal, moment, passed: Arc::default() }
    }

    /// The process is at that place.
    pub fn pass(&self, place: Place) {
        if self.is_over(place) {
            self.die(place);
        }
    }

    fn is_over(&self, place: Place) -> bool {
        let Some(moment) = self.moment.filter(|moment| moment.place == place) else { return false };
        self.passed.fetch_add(1, Ordering::SeqCst) + 1 == moment.times
    }

    fn die(&self, place: Place) {
        self.journal.say(&[&"killing", &std::process::id(), &place.name()]);
        kill_process(getpid(), Signal::KILL).expect("a process may kill itself");
        // The signal takes the other threads a moment; this one goes no further.
        loop {
            thread::park();
        }
    }
}

impl FaultPlan for Fate {
    fn fault(&self, call: &Call) -> Option<Fault> {
        let [around, _] = Place::around(call.method);
        call.points_before().map(Place::from).chain(around).for_each(|place| self.pass(place));
        None
    }

    fn took_effect(&self, call: &Call) {
        let [_, around] = Place::around(call.method);
        for place in call.points_after().map(Place::from).chain(around) {
            if place == Place::from(CrashPoint::AfterNotify) {
                // Others hear of what was written while this process goes on.
                if self.is_over(place) {
                    let fate = self.clone();
                    thread::spawn(move || {
                        thread::sleep(TELLING);
                        fate.die(place);
                    });
                }
            } else {
                self.pass(place);
            }
        }
    }
}
