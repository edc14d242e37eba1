//! A script's output on its way: reports to the recorder, everything else to the log.

use std::{collections::VecDeque, pin::Pin};

use crate::{
    deployment_type::service::protocol::{Line, is_cut, parse_line},
    engine::ActionContext,
    model::ReportedState,
    process::{OutputLine, Stream},
    store::{RecordError, StepReport},
};

/// The longest line that may be a report, in bytes; a longer one is log.
const MAX_REPORT: usize = 1024 * 1024;
/// How much text is gathered before it is handed to the log.
const GATHER: usize = 32 * 1024;
/// How many reports may be on their way.
const WINDOW: usize = 512;

type Pending = Pin<Box<dyn Future<Output = Result<(), RecordError>> + Send>>;

/// Takes a script's output apart.
pub(super) struct ScriptOutput<'a> {
    cx: &'a ActionContext,
    /// A long line of standard output that may be a report, as far as it has come.
    partial: String,
    /// Whether the rest of a line of standard output follows whose beginning is log already.
    within_log_line: bool,
    log: String,
    pending: VecDeque<Pending>,
    failed: Vec<String>,
    refused: bool,
}

impl<'a> ScriptOutput<'a> {
    pub(super) fn new(cx: &'a ActionContext) -> Self {
        Self {
            cx,
            partial: String::new(),
            within_log_line: false,
            log: String::new(),
            pending: VecDeque::new(),
            failed: Vec::new(),
            refused: false,
        }
    }

    /// The names of the steps that were reported as failed.
    pub(super) fn failed(&self) -> &[String] {
        &self.failed
    }

    /// Takes a batch of lines.
    ///
    /// # Errors
    /// When the run belongs to another claim: stop.
    pub(super) async fn take(&mut self, lines: Vec<OutputLine>) -> Result<(), RecordError> {
        for line in lines {
            self.line(line).await?;
        }
        if self.log.len() >= GATHER {
            self.flush_log().await;
        }
        Ok(())
    }

    /// Hands over what is left, and waits until all reports are durable.
    ///
    /// # Errors
    /// When the run belongs to another claim.
    pub(super) async fn finish(&mut self) -> Result<(), RecordError> {
        let partial = std::mem::take(&mut self.partial);
        self.log.push_str(&partial);
        self.flush_log().await;
        let settled = self.settle_down_to(0).await;
        // What was said about refused reports.
        self.flush_log().await;
        settled
    }

    async fn line(&mut self, line: OutputLine) -> Result<(), RecordError> {
        let begins = !self.within_log_line && line.text.trim_start().starts_with('{');
        let may_report = line.stream == Stream::Stdout && (!self.partial.is_empty() || begins);
        if !may_report {
            if line.stream == Stream::Stdout {
                self.within_log_line = !line.complete;
            }
            return self.keep(&line.text, line.complete).await;
        }
        if !line.complete && self.partial.len() + line.text.len() <= MAX_REPORT {
            self.partial.push_str(&line.text);
            return Ok(());
        }
        let mut whole = std::mem::take(&mut self.partial);
        whole.push_str(&line.text);
        self.within_log_line = !line.complete;
        let parsed = if line.complete { parse_line(&whole) } else { Line::Log };
        let Line::Step { name, state, message } = parsed else {
            return self.keep(&whole, line.complete).await;
        };
        if state == ReportedState::Failure {
            self.failed.push(name.to_string());
        }
        if is_cut(&message) {
            self.keep(&format!("{name}: {message}"), true).await?;
        }
        self.pending.push_back(Box::pin(self.cx.report_later(StepReport { parent: None, report_id: None, name, state, message })));
        self.settle_down_to(WINDOW).await
    }

    async fn keep(&mut self, text: &str, ends: bool) -> Result<(), RecordError> {
        self.log.push_str(text);
        if ends {
            self.log.push('\n');
        }
        if self.log.len() >= GATHER {
            self.flush_log().await;
        }
        Ok(())
    }

    async fn flush_log(&mut self) {
        let text = std::mem::take(&mut self.log);
        self.cx.log(text).await;
    }

    /// Hands gathered text to the log now, so that a quiet script's last lines can be read while it goes on.
    pub(super) async fn flush(&mut self) {
        if !self.log.is_empty() {
            self.flush_log().await;
        }
    }

    async fn settle_down_to(&mut self, most: usize) -> Result<(), RecordError> {
        while self.pending.len() > most {
            let Some(oldest) = self.pending.pop_front() else { break };
            match oldest.await {
                Ok(()) => {}
                Err(RecordError::Limit(message)) => {
                    if !std::mem::replace(&mut self.refused, true) {
                        self.log.push_str(&format!("eyrie: {message}; further ones are not recorded\n"));
                    }
                }
                Err(error @ (RecordError::LeaseLost { .. } | RecordError::Store(_))) => return Err(error),
                Err(error) => self.log.push_str(&format!("eyrie: a reported step was refused: {error}\n")),
            }
        }
        Ok(())
    }
}
