//! Machines whose clocks are wrong.

use eyrie_tests::crash::{drill::skewed_clocks, oracle::Leases};

use super::{drill, field_on_server, seed, setting};

#[test]
fn clocks_that_are_hours_off_change_nothing_on_a_server() {
    let kills = setting("EYRIE_TEST_SKEWED").unwrap_or(6);
    drill("skewed clocks on postgres", &field_on_server(seed()), Leases::Lost, |field| {
        skewed_clocks(field, kills);
        String::new()
    });
}
