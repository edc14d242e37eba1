//! Transactional steps: statements that a body hands over, carried out in the transaction that records its end.

use std::sync::{Arc, Mutex, PoisonError};

use crate::{
    engine::{
        Action, ActionError, Output,
        body::{BodyEnd, Done, How},
        driver::{Driver, Left},
        redaction::redacted_end,
    },
    store::{Change, Command, RecordError, Settlement, Statement, Statements},
};

/// Where a body leaves its statements: nowhere, unless its action says that it is transactional.
#[derive(Debug, Clone, Default)]
pub(super) struct Tray(Option<Arc<Mutex<Option<Statements>>>>);

impl Tray {
    /// The tray for a body of the action.
    pub(super) fn of(action: &dyn Action) -> Self {
        Self(action.is_transactional().then(|| Arc::new(Mutex::new(Some(Statements::default())))))
    }

    /// Adds statements behind the others: all of them, or none.
    pub(super) fn add(&self, statements: impl IntoIterator<Item = Statement>) -> Result<(), ActionError> {
        let refused = || ActionError::permanent("statements are taken from the bodies of transactional actions only, while they run");
        let mut tray = self.0.as_ref().ok_or_else(refused)?.lock().unwrap_or_else(PoisonError::into_inner);
        let lying = tray.as_mut().ok_or_else(refused)?;
        let mut all = lying.clone();
        statements.into_iter().try_for_each(|statement| all.push(statement))?;
        *lying = all;
        Ok(())
    }

    /// What lies in it, once the body has ended well; nothing is taken any more.
    pub(super) fn close(&self) -> Statements {
        let tray = self.0.as_ref().map(|tray| tray.lock().unwrap_or_else(PoisonError::into_inner).take());
        tray.flatten().unwrap_or_default()
    }
}

/// Awaits the body, and takes what it handed over if it ended well.
pub(super) async fn done(body: impl Future<Output = Result<Option<Output>, ActionError>>, tray: Tray) -> Result<Done, ActionError> {
    let output = body.await?;
    Ok(Done { output, statements: tray.close() })
}

impl Driver {
    /// Why no body of the action must begin here, if so.
    pub(super) fn unfit(&self, action: &dyn Action) -> Option<ActionError> {
        let is_fit = !action.is_transactional() || self.shared.registry.takes_statements();
        (!is_fit).then(|| {
            ActionError::permanent(
                "the action is transactional, and this program's store carries out no statements; use a store that is a database",
            )
        })
    }

    /// Records the ends of bodies that handed over statements, each together with its statements, and answers with all other ends.
    /// A step whose statements the database refused has failed after all.
    pub(super) async fn transact(&mut self, ended: Vec<BodyEnd>) -> Result<Vec<BodyEnd>, Left> {
        let mut others = Vec::with_capacity(ended.len());
        for BodyEnd { step, attempt, how } in ended {
            let (output, statements) = match how {
                How::Succeeded(Done { output, statements }) if !statements.is_empty() => (output, statements),
                how => {
                    others.push(BodyEnd { step, attempt, how });
                    continue;
                }
            };
            self.flush_progress(step);
            let change = Change::Transact { step, attempt, output: output.clone(), statements };
            let answer = self.shared.recorder.record(Command::fenced(self.info.id, self.fence, change)).await;
            if let Err(error @ RecordError::Statement(_)) = answer {
                others.push(redacted_end(&self.redaction.redactor, BodyEnd { step, attempt, how: How::Failed(error.into()) }));
            } else {
                self.recorded(answer)?;
                self.note(step, &Settlement::Succeeded { output });
            }
        }
        Ok(others)
    }
}
