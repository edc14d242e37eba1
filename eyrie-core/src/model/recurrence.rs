//! Recurring times: a cron expression, read in a time zone.
//!
//! An expression has five fields: minute, hour, day of the month, month, day of the week; or it is one of `@hourly`, `@daily`,
//! `@weekly`, `@monthly` and `@yearly`. `L` is the last day of a month, `FRI#2` its second Friday, `15W` the weekday nearest to its
//! 15th. Of a day of the month and one of the week that are both restricted, either is enough, as in Vixie cron; with a `+` before the
//! latter, both are needed.
//!
//! Where clocks change, expressions of one fixed time of day differ from all others:
//!
//! | | one fixed hour and minute (`30 2 * * *`) | anything else (`*/10 * * * *`, `0 1,2 * * *`) |
//! |---|---|---|
//! | a time that is skipped | fires right behind the gap | does not fire |
//! | a time that comes twice | fires the first time | fires both times |

use std::{fmt, str::FromStr, sync::Arc};

use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::{clock::Timestamp, error::Invalid};

/// The longest expression, in bytes.
const MAX_EXPRESSION: usize = 200;

/// A cron expression that was understood, and that comes true at some time. Two are equal when they are written alike.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CronExpression {
    text: String,
    cron: Arc<Cron>,
}

impl CronExpression {
    /// Checks and takes `text`.
    ///
    /// # Errors
    /// [`Invalid`] says what of the expression is not understood, or that it never comes true.
    pub fn new(text: impl Into<String>) -> Result<Self, Invalid> {
        let text = text.into();
        let text = text.trim();
        let refused = |reason: String| Invalid::new("cron", reason);
        if text.len() > MAX_EXPRESSION {
            return Err(refused(format!("must be at most {MAX_EXPRESSION} bytes long")));
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(text).map_err(|error| {
            refused(format!("must be five fields (minute, hour, day, month, weekday), or for instance @daily: {error}"))
        })?;
        let expression = Self { text: text.to_owned(), cron: Arc::new(cron) };
        if expression.next_after(&TimeZoneName::utc(), Timestamp::UNIX_EPOCH).is_none() {
            return Err(refused("names a time that never comes".to_owned()));
        }
        Ok(expression)
    }

    /// The expression as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first time that it names behind `at`; none at the end of representable time.
    #[must_use]
    pub fn next_after(&self, zone: &TimeZoneName, at: Timestamp) -> Option<Timestamp> {
        let next = self.cron.find_next_occurrence(&at.to_zoned(zone.zone.clone()), false).ok()?;
        Some(next.timestamp()).filter(|next| *next > at)
    }

    /// The times that it names from `first` to `last`, both included, oldest first: the latest `most` of them.
    #[must_use]
    pub fn latest(&self, zone: &TimeZoneName, first: Timestamp, last: Timestamp, most: usize) -> Vec<Timestamp> {
        let mut times = Vec::new();
        let mut before = last.to_zoned(zone.zone.clone());
        let mut inclusive = true;
        while times.len() < most
            && let Ok(found) = self.cron.find_previous_occurrence(&before, inclusive)
            && found.timestamp() >= first
            && (inclusive || found < before)
        {
            times.push(found.timestamp());
            before = found;
            inclusive = false;
        }
        times.reverse();
        times
    }
}

impl PartialEq for CronExpression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for CronExpression {}

impl fmt::Debug for CronExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CronExpression").field(&self.text).finish()
    }
}

impl fmt::Display for CronExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for CronExpression {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::new(text)
    }
}

impl TryFrom<String> for CronExpression {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::new(text)
    }
}

impl From<CronExpression> for String {
    fn from(expression: CronExpression) -> Self {
        expression.text
    }
}

/// A time zone of the IANA database, by its name. Rules come from the machine's database, or from the one in the program where there
/// is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeZoneName {
    name: String,
    zone: TimeZone,
}

impl TimeZoneName {
    /// Checks and takes `name`, written as the database writes it.
    ///
    /// # Errors
    /// [`Invalid`] when there is no such zone.
    pub fn new(name: &str) -> Result<Self, Invalid> {
        let unknown = || Invalid::new("time_zone", "must be a name of the IANA database, for instance Europe/Berlin or UTC");
        let zone = TimeZone::get(name).map_err(|_| unknown())?;
        let name = zone.iana_name().filter(|_| !zone.is_unknown()).ok_or_else(unknown)?.to_owned();
        Ok(Self { name, zone })
    }

    /// Coordinated universal time.
    #[must_use]
    pub fn utc() -> Self {
        Self { name: "UTC".to_owned(), zone: TimeZone::UTC }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for TimeZoneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl FromStr for TimeZoneName {
    type Err = Invalid;

    fn from_str(name: &str) -> Result<Self, Invalid> {
        Self::new(name)
    }
}

impl TryFrom<String> for TimeZoneName {
    type Error = Invalid;

    fn try_from(name: String) -> Result<Self, Invalid> {
        Self::new(&name)
    }
}

impl From<TimeZoneName> for String {
    fn from(zone: TimeZoneName) -> Self {
        zone.name
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn zone(name: &str) -> TimeZoneName {
        TimeZoneName::new(name).unwrap()
    }

    /// The next times behind `after`, in UTC.
    fn next(cron: &str, time_zone: &str, after: &str, count: usize) -> Vec<String> {
        let (cron, zone) = (CronExpression::new(cron).unwrap(), zone(time_zone));
        let mut times = vec![at(after)];
        for _ in 0..count {
            times.push(cron.next_after(&zone, times[times.len() - 1]).unwrap());
        }
        times[1..].iter().map(ToString::to_string).collect()
    }

    #[test]
    fn times_are_those_of_the_zone() {
        assert_eq!(next("0 3 * * *", "UTC", "2026-01-10T03:00:00Z", 1), ["2026-01-11T03:00:00Z"], "later than the time given");
        assert_eq!(next("0 3 * * *", "UTC", "2026-01-10T02:59:59.999999Z", 1), ["2026-01-10T03:00:00Z"]);
        assert_eq!(next("0 3 * * *", "UTC", "2026-01-10T03:00:00.000001Z", 1), ["2026-01-11T03:00:00Z"]);
        assert_eq!(next("0 3 * * *", "Europe/Berlin", "2026-01-10T00:00:00Z", 1), ["2026-01-10T02:00:00Z"]);
        assert_eq!(next("0 3 * * *", "Europe/Berlin", "2026-07-10T00:00:00Z", 1), ["2026-07-10T01:00:00Z"]);
        assert_eq!(next("15 9 * * MON-FRI", "Asia/Kolkata", "2026-01-09T04:00:00Z", 1), ["2026-01-12T03:45:00Z"]);
        assert_eq!(next("*/20 * * * *", "UTC", "2026-12-31T23:30:00Z", 2), ["2026-12-31T23:40:00Z", "2027-01-01T00:00:00Z"]);
    }

    #[test]
    fn ends_of_months_and_leap_days() {
        let last = ["2027-01-31T12:00:00Z", "2027-02-28T12:00:00Z", "2027-03-31T12:00:00Z", "2027-04-30T12:00:00Z"];
        assert_eq!(next("0 12 L * *", "UTC", "2027-01-01T00:00:00Z", 4), last);
        assert_eq!(next("0 12 31 * *", "UTC", "2027-01-31T12:00:00Z", 2), ["2027-03-31T12:00:00Z", "2027-05-31T12:00:00Z"]);
        assert_eq!(next("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", 2), ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]);
        assert_eq!(next("0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", 1), ["2104-02-29T00:00:00Z"], "1900 and 2100 are no leap years");
        assert_eq!(next("0 0 * * FRI#2", "UTC", "2026-01-01T00:00:00Z", 1), ["2026-01-09T00:00:00Z"]);
        assert_eq!(next("0 0 * * FRIL", "UTC", "2026-01-01T00:00:00Z", 1), ["2026-01-30T00:00:00Z"]);
        assert_eq!(next("0 0 15W * *", "UTC", "2026-02-01T00:00:00Z", 1), ["2026-02-16T00:00:00Z"], "the 15th is a Sunday");
    }

    #[test]
    fn a_day_of_the_month_or_one_of_the_week() {
        let either = ["2026-01-05T00:00:00Z", "2026-01-12T00:00:00Z", "2026-01-13T00:00:00Z"];
        assert_eq!(next("0 0 13 * MON", "UTC", "2026-01-01T00:00:00Z", 3), either);
        assert_eq!(next("0 0 13 * +FRI", "UTC", "2026-01-01T00:00:00Z", 1), ["2026-02-13T00:00:00Z"]);
    }

    #[test]
    fn nicknames() {
        for (nickname, first) in [
            ("@hourly", "2026-05-06T08:00:00Z"),
            ("@daily", "2026-05-07T00:00:00Z"),
            ("@weekly", "2026-05-10T00:00:00Z"),
            ("@monthly", "2026-06-01T00:00:00Z"),
            ("@yearly", "2027-01-01T00:00:00Z"),
        ] {
            assert_eq!(next(nickname, "UTC", "2026-05-06T07:08:09Z", 1), [first], "{nickname}");
        }
    }

    /// In Berlin the clock went from 02:00 to 03:00 on 2026-03-29, at 01:00 UTC.
    #[test]
    fn times_that_are_skipped() {
        let fixed = ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"];
        assert_eq!(next("30 2 * * *", "Europe/Berlin", "2026-03-27T12:00:00Z", 3), fixed, "right behind the gap");
        let several = ["2026-03-29T00:40:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:20:00Z"];
        assert_eq!(next("*/20 * * * *", "Europe/Berlin", "2026-03-29T00:20:00Z", 3), several);
        let two_hours = ["2026-03-29T00:15:00Z", "2026-03-29T23:15:00Z"];
        assert_eq!(next("15 1,2 * * *", "Europe/Berlin", "2026-03-28T23:00:00Z", 2), two_hours, "there is no 02:15 that day");
    }

    /// In Berlin the clock goes from 03:00 to 02:00 on 2026-10-25, at 01:00 UTC.
    #[test]
    fn times_that_come_twice() {
        let fixed = ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"];
        assert_eq!(next("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2), fixed, "once, the first time");
        let several = ["2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:00:00Z"];
        assert_eq!(next("*/30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", 4), several, "both times");
    }

    #[test]
    fn the_latest_of_many() {
        let (cron, berlin) = (CronExpression::new("0 * * * *").unwrap(), zone("Europe/Berlin"));
        let latest = |first: &str, last: &str, most| {
            let times = cron.latest(&berlin, at(first), at(last), most);
            times.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let day = ["2026-01-10T22:00:00Z", "2026-01-10T23:00:00Z"];
        assert_eq!(latest("2020-01-01T00:00:00Z", "2026-01-10T23:59:59.5Z", 2), day);
        assert_eq!(latest("2026-01-10T22:00:00Z", "2026-01-10T23:00:00Z", 9), day, "both ends belong to it");
        assert_eq!(latest("2026-01-10T23:00:00.000001Z", "2026-01-10T23:59:00Z", 9), [""; 0]);
        let fold = ["2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"];
        assert_eq!(latest("2026-10-25T00:00:00Z", "2026-10-25T02:30:00Z", 9), fold);
    }

    #[test]
    fn what_is_refused() {
        for bad in [
            "",
            " ",
            "* * * *",
            "* * * * * *",
            "0 0 0 1 1 * 2030",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "a b c d e",
            "@reboot",
            "@never",
            "*/0 * * * *",
            "5-1 * * * *",
            "\u{1f426} * * * *",
        ] {
            assert_eq!(CronExpression::new(bad).unwrap_err().field(), "cron", "{bad:?}");
        }
        for never in ["0 0 30 2 *", "0 0 31 4,6,9,11 *"] {
            assert!(CronExpression::new(never).unwrap_err().reason().contains("never comes"), "{never}");
        }
        assert!(CronExpression::new("1,".repeat(200)).is_err());
        for bad in ["", "Mars/Olympus", "Etc/Unknown", "Europe/Berlin ", "+01:00", "../../etc/passwd", "CET-1CEST"] {
            assert_eq!(TimeZoneName::new(bad).unwrap_err().field(), "time_zone", "{bad:?}");
        }
        assert_eq!(zone("europe/berlin").as_str(), "Europe/Berlin");
        assert_eq!(zone("UTC"), TimeZoneName::utc());
    }

    /// The zones are in the program: nothing of the machine is needed.
    #[test]
    fn zones_are_in_the_program() {
        let bundled = jiff::tz::TimeZoneDatabase::bundled();
        assert_eq!(bundled.get("Europe/Berlin").unwrap().iana_name(), Some("Europe/Berlin"));
    }

    fn any_expression() -> impl Strategy<Value = String> {
        let field = |low: u32, high: u32| {
            prop_oneof![
                4 => Just("*".to_owned()),
                3 => (low..=high).prop_map(|n| n.to_string()),
                1 => (1..=high.max(2)).prop_map(|n| format!("*/{n}")),
                1 => (low..=high, low..=high).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
                1 => (low..=high, low..=high).prop_map(|(a, b)| format!("{a},{b}")),
            ]
        };
        (field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 6)).prop_map(|(a, b, c, d, e)| format!("{a} {b} {c} {d} {e}"))
    }

    proptest! {
        #[test]
        fn the_next_time_is_later(
            text in any_expression(),
            seconds in 0_i64..4_000_000_000,
            micros in 0_i64..1_000_000,
            name in prop::sample::select(&["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"][..]),
        ) {
            let cron = CronExpression::new(text).unwrap();
            let (zone, after) = (zone(name), crate::clock::from_micros(seconds * 1_000_000 + micros));
            let next = cron.next_after(&zone, after).unwrap();
            prop_assert!(next > after);
            let latest = cron.latest(&zone, after, next, 5);
            prop_assert_eq!(latest.last(), Some(&next), "looking back finds it");
        }
    }
}
