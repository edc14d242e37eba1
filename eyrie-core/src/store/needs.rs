//! What a store must read before a batch of commands can be applied.

use std::collections::BTreeSet;

use crate::{
    id::{CommandId, RunId},
    model::StepIndex,
    name::StepName,
    store::{Change, Command, End},
};

/// What a store must read before a batch of commands can be applied.
#[derive(Debug, Default)]
pub struct Needs {
    /// These runs.
    pub runs: BTreeSet<RunId>,
    /// These steps.
    pub steps: BTreeSet<(RunId, StepIndex)>,
    /// Of these runs, reported steps that are pending or running.
    pub unfinished_reports: BTreeSet<RunId>,
    /// Of these runs, all steps that are pending, running or undoing.
    pub unfinished: BTreeSet<RunId>,
    /// Of these runs, all planned steps.
    pub planned: BTreeSet<RunId>,
    /// Reported steps of this name that are pending or running.
    pub named_reports: BTreeSet<(RunId, StepName)>,
    /// Whether an event with this report id exists.
    pub report_ids: BTreeSet<(RunId, String)>,
    /// The events that this command wrote, if it did.
    pub commands: BTreeSet<(RunId, CommandId)>,
}

impl Needs {
    /// What the commands need.
    #[must_use]
    pub fn of(commands: &[Command]) -> Self {
        let mut needs = Self::default();
        for command in commands {
            let run = command.run_id;
            needs.runs.insert(run);
            if command.retried {
                needs.commands.insert((run, command.id));
            }
            match &command.change {
                Change::Advance { settle, skip, start, end } => {
                    needs.steps.extend(settle.iter().map(|settle| (run, settle.step)));
                    needs.steps.extend(skip.iter().map(|skip| (run, skip.step)));
                    needs.steps.extend(start.iter().map(|start| (run, start.index)));
                    if !settle.is_empty() {
                        needs.unfinished_reports.insert(run);
                    }
                    if matches!(end, Some(End::Fail { .. } | End::Cancel { .. } | End::Undo { .. })) {
                        needs.unfinished.insert(run);
                    }
                }
                Change::Transact { step, .. } => {
                    needs.steps.insert((run, *step));
                    needs.unfinished_reports.insert(run);
                }
                Change::Report(report) => {
                    match report.parent {
                        Some(parent) => drop(needs.steps.insert((run, parent))),
                        None => drop(needs.unfinished.insert(run)),
                    }
                    needs.named_reports.insert((run, report.name.clone()));
                    needs.report_ids.extend(report.report_id.clone().map(|id| (run, id)));
                }
                Change::Expect { parent, .. } => drop(needs.steps.insert((run, *parent))),
                Change::Progress { step, .. } | Change::KeepHandle { step, .. } | Change::SaveUndo { step, .. } => {
                    needs.steps.insert((run, *step));
                }
                Change::Approve { step, .. } => drop(needs.steps.insert((run, *step))),
                Change::RequestCancel { .. } | Change::CancelAndUndo { .. } => {
                    needs.unfinished.insert(run);
                    needs.planned.insert(run);
                }
                Change::Resume { .. } | Change::RetryStep { .. } | Change::RetryUndo { .. } | Change::SkipUndo { .. } => {
                    needs.planned.insert(run);
                }
            }
        }
        needs
    }

    /// The same without what is needed of the runs that are known already.
    #[must_use]
    pub fn without(&self, is_known: impl Fn(&RunId) -> bool) -> Self {
        let runs = |all: &BTreeSet<RunId>| all.iter().filter(|run| !is_known(run)).copied().collect();
        Self {
            runs: runs(&self.runs),
            steps: self.steps.iter().filter(|(run, _)| !is_known(run)).copied().collect(),
            unfinished_reports: runs(&self.unfinished_reports),
            unfinished: runs(&self.unfinished),
            planned: runs(&self.planned),
            named_reports: self.named_reports.iter().filter(|(run, _)| !is_known(run)).cloned().collect(),
            report_ids: self.report_ids.iter().filter(|(run, _)| !is_known(run)).cloned().collect(),
            commands: self.commands.iter().filter(|(run, _)| !is_known(run)).copied().collect(),
        }
    }
}
