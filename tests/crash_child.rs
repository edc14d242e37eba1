//! The process that the crash tests kill.

fn main() {
    eyrie_tests::crash::child::run(std::env::args().skip(1));
}
