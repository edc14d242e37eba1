//! What a benchmark is told on its command line.

/// The options of the engine's benchmark.
#[derive(Debug)]
pub struct Options {
    /// `--store sqlite` (if nothing is said) or `--store postgres`.
    pub store: String,
    /// `--workers N`: how many platforms with a worker share the database; they share nothing else.
    pub workers: usize,
    /// `--grown`: measures once more with a million finished steps and ten million events behind it.
    pub grown: bool,
}

impl Options {
    /// From the program's arguments.
    ///
    /// # Errors
    /// Names what it does not know.
    pub fn read() -> Result<Self, String> {
        let mut options = Self { store: "sqlite".to_owned(), workers: 1, grown: false };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--store" => options.store = arguments.next().ok_or("--store needs sqlite or postgres")?,
                "--workers" => {
                    let workers = arguments.next().and_then(|text| text.parse().ok()).filter(|workers| *workers > 0);
                    options.workers = workers.ok_or("--workers needs a number from 1")?;
                }
                "--grown" => options.grown = true,
                // Cargo says so by itself.
                "--bench" => {}
                other => return Err(format!("{other} is not known; there are --store, --workers and --grown")),
            }
        }
        Ok(options)
    }
}
