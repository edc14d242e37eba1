//! Failed sign-ins cost time, by the name that was tried and by the address that it came from.
//!
//! What is remembered has a fixed size whatever is tried: names and addresses fall into so many counts each, by their hash, known names
//! like unknown ones. Nobody's count can be pushed out by trying others, and none of them says whether there is such a name.

use std::{
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use sha2::{Digest, Sha256};

use crate::clock::Timestamp;

/// How many counts there are of names, and as many of addresses.
const OF_A_KIND: u32 = 1 << 16;
/// Failures that cost nothing: of one name, of one address (behind which many people may be).
const FREE_BY_NAME: u32 = 5;
const FREE_BY_ADDRESS: u32 = 30;
/// The longest wait. Short, so that nobody can lock somebody else out for long.
const LONGEST: Duration = Duration::from_secs(30);
/// Failures are forgotten that long after the last one.
const FORGOTTEN: Duration = Duration::from_secs(15 * 60);

/// A count of failures that a name or an address falls into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignInCount(u32);

impl SignInCount {
    /// The count of a name, whether there is such an account or not.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        Self(bucket(name.as_bytes()))
    }

    /// The count of an address. Of version 6, whoever has one has the 2⁶⁴ around it.
    #[must_use]
    pub fn of_address(address: IpAddr) -> Self {
        let network = match address.to_canonical() {
            IpAddr::V4(address) => bucket(&address.octets()),
            IpAddr::V6(address) => bucket(&Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).octets()[..8]),
        };
        Self(OF_A_KIND + network)
    }

    /// Its number: what it is kept under.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    const fn free(self) -> u32 {
        if self.0 < OF_A_KIND { FREE_BY_NAME } else { FREE_BY_ADDRESS }
    }

    /// How long whoever falls into it has to wait after these failures; none: not at all.
    #[must_use]
    pub fn wait(self, failures: SignInFailures, now: Timestamp) -> Option<Duration> {
        let over = failures.number.checked_sub(self.free())?;
        let pause = Duration::from_secs(1_u64 << over.min(5)).min(LONGEST);
        // Of a time to come, as after a clock was set back, nothing is known.
        let passed = Duration::try_from(now.duration_since(failures.last_at)).ok()?;
        pause.checked_sub(passed).filter(|wait| !wait.is_zero())
    }
}

fn bucket(bytes: &[u8]) -> u32 {
    let hash = Sha256::digest(bytes);
    u32::from_be_bytes([0, 0, hash[0], hash[1]])
}

/// The failures that a count has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignInFailures {
    /// How many.
    pub number: u32,
    /// When the last one was.
    pub last_at: Timestamp,
}

impl SignInFailures {
    /// With one more, now.
    #[must_use]
    pub fn and_one_more(before: Option<Self>, now: Timestamp) -> Self {
        let remembered = before.filter(|before| match Duration::try_from(now.duration_since(before.last_at)) {
            Ok(passed) => passed < FORGOTTEN,
            Err(_) => true,
        });
        Self { number: remembered.map_or(0, |before| before.number).saturating_add(1), last_at: now }
    }

    /// Without one of them; none: there was no other.
    #[must_use]
    pub fn but_one(self) -> Option<Self> {
        let number = self.number.checked_sub(1).filter(|number| *number > 0)?;
        Some(Self { number, ..self })
    }
}

/// Somebody tries to sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignInAttempt {
    /// What the name counts for.
    pub name: SignInCount,
    /// What the address counts for, where it is known.
    pub address: Option<SignInCount>,
    /// When.
    pub at: Timestamp,
}

impl SignInAttempt {
    /// Of that name, from there.
    #[must_use]
    pub fn new(name: &str, address: Option<IpAddr>, at: Timestamp) -> Self {
        Self { name: SignInCount::of_name(name), address: address.map(SignInCount::of_address), at }
    }

    /// All that it counts for, in the order of their numbers.
    pub fn counts(&self) -> impl Iterator<Item = SignInCount> {
        std::iter::once(self.name).chain(self.address)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::clock::{from_micros, later};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn waits_grow_to_half_a_minute_and_pass() {
        let (name, start) = (SignInCount::of_name("ann"), from_micros(1_800_000_000_000_000));
        let after = |number| name.wait(SignInFailures { number, last_at: start }, start);
        assert_eq!(
            [4, 5, 6, 9, 10, u32::MAX].map(after),
            [None, Some(SECOND), Some(2 * SECOND), Some(16 * SECOND), Some(LONGEST), Some(LONGEST)]
        );
        let ten = SignInFailures { number: 10, last_at: start };
        assert_eq!(name.wait(ten, later(start, 29 * SECOND)), Some(SECOND));
        assert_eq!(name.wait(ten, later(start, LONGEST)), None);
        assert_eq!(name.wait(SignInFailures { last_at: later(start, SECOND), ..ten }, start), None, "a clock was set back");
        let address = SignInCount::of_address("192.0.2.1".parse().unwrap());
        assert_eq!(address.wait(SignInFailures { number: 29, last_at: start }, start), None);
        assert_eq!(address.wait(SignInFailures { number: 30, last_at: start }, start), Some(SECOND));
    }

    #[test]
    fn failures_are_forgotten_after_a_quarter_of_an_hour() {
        let start = from_micros(1_800_000_000_000_000);
        let one = SignInFailures::and_one_more(None, start);
        assert_eq!(one.number, 1);
        assert_eq!(SignInFailures::and_one_more(Some(one), later(start, FORGOTTEN - SECOND)).number, 2);
        assert_eq!(SignInFailures::and_one_more(Some(one), later(start, FORGOTTEN)).number, 1);
        assert_eq!(one.but_one(), None);
    }

    #[test]
    fn addresses_of_one_network_count_together() {
        let of = |text: &str| SignInCount::of_address(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.7"), of("192.0.2.7"));
        assert_ne!(of("192.0.2.6"), of("192.0.2.7"));
        assert!(of("192.0.2.7").number() >= OF_A_KIND && SignInCount::of_name("192.0.2.7").number() < OF_A_KIND);
    }
}
