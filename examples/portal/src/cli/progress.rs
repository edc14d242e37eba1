//! A run on the terminal: a progress bar where there is one, plain lines otherwise.

use std::{
    collections::BTreeMap,
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use super::say;

/// Shows one run.
pub(super) struct RunDisplay {
    bar: Option<ProgressBar>,
    steps: BTreeMap<u64, String>,
    begun: Instant,
    begun_steps: BTreeMap<u64, Instant>,
    last: String,
    message: String,
}

impl RunDisplay {
    pub(super) fn new() -> Self {
        let bar = std::io::stdout().is_terminal().then(|| {
            let bar = ProgressBar::new(1);
            if let Ok(style) = ProgressStyle::with_template("{spinner} [{elapsed}] {bar:30} {pos}/{len} {wide_msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        let begun = Instant::now();
        Self { bar, steps: BTreeMap::new(), begun, begun_steps: BTreeMap::new(), last: String::new(), message: String::new() }
    }

    /// Shows one event.
    pub(super) fn show(&mut self, event: &Value) {
        let text = |key: &str| printable(event[key].as_str().unwrap_or_default());
        match event["type"].as_str() {
            Some("run") => {
                self.last = text("state");
                self.message = text("message");
                let line = format!("run {} {}", self.last, self.message);
                match &self.bar {
                    None => self.line(&line),
                    // Only a person takes it on from there.
                    Some(bar) if matches!(self.last.as_str(), "waiting" | "parked") => bar.println(line.trim_end()),
                    Some(_) => {}
                }
            }
            Some("step") => self.step(event, &text("name"), &text("state"), &text("message")),
            Some("progress") => match &self.bar {
                Some(bar) => bar.set_message(format!("{}: {}", text("name"), text("message"))),
                None => self.line(&format!("  {}: {}", text("name"), text("message"))),
            },
            Some("pruned") => self.note(&format!("what happened before event {} is no longer kept", event["first"])),
            _ => {}
        }
    }

    fn note(&self, line: &str) {
        match &self.bar {
            None => self.line(line),
            Some(bar) => bar.println(line),
        }
    }

    fn step(&mut self, event: &Value, name: &str, state: &str, message: &str) {
        let index = event["index"].as_u64().unwrap_or(0);
        self.steps.insert(index, state.to_owned());
        let runs = matches!(state, "running" | "undoing");
        if runs {
            self.begun_steps.insert(index, Instant::now());
        }
        let took = self.begun_steps.get(&index).map(|begun| format!(" ({:.1} s)", begun.elapsed().as_secs_f64())).unwrap_or_default();
        let indent = if event["parent"].is_null() { "" } else { "  " };
        let ended = !runs && state != "pending";
        let line = format!("{indent}{} {name}: {state}{} {message}", mark(state), if ended { took } else { String::new() });
        match &self.bar {
            Some(bar) => {
                let done = self.steps.values().filter(|state| !matches!(state.as_str(), "pending" | "running" | "undoing")).count();
                bar.set_length(self.steps.len() as u64);
                bar.set_position(done as u64);
                if ended {
                    bar.println(line.trim_end());
                } else if runs {
                    bar.set_message(name.to_owned());
                }
            }
            None if state == "pending" => {}
            None => self.line(&line),
        }
    }

    fn line(&self, line: &str) {
        say(line.trim_end());
    }

    /// The last line. Answers with the state in which the run ended.
    pub(super) fn finish(self) -> String {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let message = if self.message.is_empty() { String::new() } else { format!(": {}", self.message) };
        say(format_args!("{} run {} after {:.1} s{message}", mark(&self.last), self.last, self.begun.elapsed().as_secs_f64()));
        self.last
    }
}

fn mark(state: &str) -> &'static str {
    match state {
        "succeeded" | "undone" => "✓",
        "failed" | "undo_failed" => "✗",
        "skipped" | "cancelled" => "–",
        _ => "·",
    }
}

/// Text of a script, without what would steer the terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}
