//! A journal beside the database: what was really done and really said, written with one `write` a line.

use std::{
    fmt::Display,
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use eyrie_core::model::{RunEvent, RunEventBody};

/// The journal. Clones write to the same file.
#[derive(Debug, Clone)]
pub struct Journal {
    path: PathBuf,
    file: Arc<File>,
}

impl Journal {
    /// The journal in that file.
    pub fn open(path: &Path) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(path).expect("the journal opens");
        Self { path: path.to_owned(), file: Arc::new(file) }
    }

    /// Adds a line of these words.
    pub fn say(&self, words: &[&dyn Display]) {
        let words: Vec<_> = words.iter().map(ToString::to_string).collect();
        (&*self.file).write_all(format!("{}\n", words.join("\t")).as_bytes()).expect("the journal takes the line");
    }

    /// All whole lines so far, in words.
    pub fn lines(&self) -> Vec<Vec<String>> {
        words_in(&std::fs::read_to_string(&self.path).expect("the journal can be read"))
    }

    /// The lines that begin with this word.
    pub fn those(&self, word: &str) -> Vec<Vec<String>> {
        self.lines().into_iter().filter(|line| line[0] == word).collect()
    }
}

/// The words of all whole lines of a journal's text.
pub fn words_in(text: &str) -> Vec<Vec<String>> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.split('\n').filter(|line| !line.is_empty()).map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

/// One event in words, without its run: seq, time, epoch, kind, state, step, name, attempt, message.
pub fn words_of(event: &RunEvent) -> String {
    let (kind, state, step, name, attempt, message) = match &event.body {
        RunEventBody::Run { state, message } => ("run", state.to_string(), None, None, None, message),
        RunEventBody::Step { index, name, state, attempt, message, .. } => {
            ("step", state.to_string(), Some(index.get()), Some(name), Some(*attempt), message)
        }
        RunEventBody::Progress { index, name, message } => ("progress", String::new(), Some(index.get()), Some(name), None, message),
    };
    let name = name.map(ToString::to_string).unwrap_or_default();
    words(event.seq, event.at.as_microsecond(), event.epoch, kind, &state, step.map(i64::from), &name, attempt.map(i64::from), message)
}

/// The same from its parts.
#[expect(clippy::too_many_arguments, reason = "one for each column")]
pub fn words(
    seq: u64,
    at: i64,
    epoch: u64,
    kind: &str,
    state: &str,
    step: Option<i64>,
    name: &str,
    attempt: Option<i64>,
    message: &str,
) -> String {
    format!("{seq}\t{at}\t{epoch}\t{kind}\t{state}\t{step:?}\t{name}\t{attempt:?}\t{message:?}")
}
