//! What may be decided about a run in its state: its buttons, and the forms of the approvals that it waits for.

use eyrie_core::{
    model::{Run, RunState, Step, StepState},
    platform::{OpenApproval, RunView},
};
use maud::{Markup, html};

use super::layout::{csrf, text};
use crate::{authentication::Visitor, problem::Answer, setup::random_text};

/// What can be done to the run as a whole.
pub(super) fn buttons(visitor: &Visitor, view: &RunView) -> Answer<Markup> {
    let run = &view.run;
    let place = format!("/runs/{}", run.id);
    let is_stuck = undo_is_open(run) && view.steps.iter().any(|step| step.state == StepState::UndoFailed);
    Ok(html! {
        div.buttons {
            @if !run.state.is_terminal() && run.state != RunState::Cancelling {
                form method="post" action={ (place) "/cancel" } { (csrf(visitor)) button #cancel .danger { "Cancel" } }
            }
            @if matches!(run.state, RunState::Parked | RunState::Failed) {
                form method="post" action={ (place) "/resume" } {
                    (csrf(visitor))
                    button #resume { @if run.state == RunState::Failed { "Resume where it stopped" } @else { "Resume" } }
                }
            }
            @if is_stuck {
                form method="post" action={ (place) "/retry-undo" } { (csrf(visitor)) button #retry-undo { "Retry undo" } }
            }
            @if run.state.is_terminal() {
                form method="post" action={ (place) "/rerun" } {
                    (csrf(visitor))
                    // Drawn anew for every page: sent twice, it starts one run.
                    input type="hidden" name="key" value=(random_text()?);
                    button #rerun .quiet { "Run again" }
                }
            }
        }
        @if is_stuck {
            p.faint { "Not everything was undone. Retry what failed, or skip a step that needs no undo any more; then the rest is undone." }
        }
    })
}

/// What can be done about one step.
pub(super) fn step_buttons(visitor: &Visitor, run: &Run, step: &Step) -> Markup {
    let place = format!("/runs/{}/steps/{}", run.id, step.index);
    html! {
        @if step.parent.is_none() && step.state == StepState::Failed && run.state == RunState::Failed {
            form method="post" action={ (place) "/retry" } {
                (csrf(visitor))
                button.quiet id={ "retry-" (step.index) } { "Retry this step" }
            }
        }
        @if step.parent.is_none() && step.state == StepState::UndoFailed && undo_is_open(run) {
            form method="post" action={ (place) "/skip-undo" } {
                (csrf(visitor))
                button.quiet id={ "skip-undo-" (step.index) } { "Skip its undo" }
            }
        }
    }
}

/// The question that the run waits with. Each answer has a form of its own, so that the Enter key gives the answer beside it.
pub(super) fn approval(visitor: &Visitor, run: &Run, open: &OpenApproval) -> Markup {
    let answers = [("approve", "Approve", None), ("reject", "Reject", Some("danger"))];
    html! {
        section.approval {
            h2 { "Waits for approval: " (text(open.name.as_str())) }
            p { "Somebody with the role " strong { (open.role) } ", or a higher one, decides whether the run goes on." }
            @for (answer, label, class) in answers {
                form method="post" action={ "/runs/" (run.id) "/steps/" (open.step) "/" (answer) } {
                    (csrf(visitor))
                    input id={ (answer) "-reason-" (open.step) } name="reason" maxlength="500" placeholder="Reason (may be left out)"
                        aria-label={ (label) " " (text(open.name.as_str())) ": reason" } autocomplete="off";
                    button id={ (answer) "-" (open.step) } class=[class] { (label) }
                }
            }
        }
    }
}

/// Whether the run has ended in a way in which its undo can go on.
const fn undo_is_open(run: &Run) -> bool {
    matches!(run.row().state, RunState::UndoFailed | RunState::Cancelled)
}
