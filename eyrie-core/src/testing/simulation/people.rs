//! The people of a simulated world: they ask for runs, follow them, and decide about them, each in some process.

use std::{sync::Arc, time::Duration};

use super::{
    outside::{Act, Outside, ProcessId},
    process::Process,
    world::Wanted,
};
use crate::{
    Acting,
    error::{Error, ErrorKind, Result},
    id::RunId,
    model::{Principal, StepIndex},
    platform::{RunRequest, StartRun},
};

/// What somebody may want of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Cancel,
    Resume,
    RetryStep(StepIndex),
    RetryUndo,
    SkipUndo(StepIndex),
    /// Decides on the first approval that the run waits for, if it waits for one.
    Decide(bool),
}

fn me(process: &Process) -> Acting {
    process.eyrie.acting_as(Principal::local_operator())
}

/// Asks for the run; with a key again and again, until there is an answer.
pub(super) fn ask(outside: &Arc<Outside>, process: &Process, place: usize, wanted: &Wanted) {
    let (outside, me, id) = (Arc::clone(outside), me(process), process.id);
    let (deployment, kind, plan, not_before) = (wanted.deployment, wanted.kind, wanted.plan.clone(), wanted.not_before);
    let Some((tag, is_keyed)) = outside.state().askings.get_mut(place).map(|asking| {
        asking.process = Some(id);
        (asking.tag.clone(), asking.is_keyed)
    }) else {
        return;
    };
    process.spawn(async move {
        loop {
            let start =
                StartRun { kind, context: serde_json::json!({ "tag": tag }), not_before, request_key: is_keyed.then(|| tag.clone()) };
            let answer = me.run_plan_with(deployment, RunRequest { plan: plan.clone(), start }).await;
            if !(is_keyed && answer.as_ref().is_err_and(Error::is_retryable)) {
                return answered(&outside, id, place, answer.map(|run| run.id).map_err(|error| error.kind()));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
}

/// There is an answer, if whoever it was for still lives.
fn answered(outside: &Outside, process: ProcessId, place: usize, answer: Result<RunId, ErrorKind>) {
    let mut state = outside.state();
    if state.is_dead(process) {
        return;
    }
    if let Some(tag) = state.askings.get(place).map(|asking| asking.tag.clone()) {
        state.say(format!("p{process} {tag}: {answer:?}"));
    }
    if let Some(asking) = state.askings.get_mut(place) {
        asking.answer = Some(answer);
    }
}

/// Goes on as that follower of a run, from where it left off.
pub(super) fn follow(outside: &Arc<Outside>, process: &Process, place: usize) {
    let (outside, me, id) = (Arc::clone(outside), me(process), process.id);
    process.spawn(async move {
        loop {
            let Some((run, behind)) = outside.state().followers.get(place).map(|follower| (follower.run, follower.seq)) else { return };
            let end = listen(&outside, &me, (id, place), run, behind).await;
            if outside.state().is_dead(id) {
                return;
            }
            if end.is_err_and(|error| error.kind() == ErrorKind::NotFound) {
                return outside.state().gives_up(place);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
}

async fn listen(outside: &Outside, me: &Acting, (id, place): (ProcessId, usize), run: RunId, behind: u64) -> Result<()> {
    let mut events = me.follow_run(run, behind).await?;
    loop {
        let next = events.next().await;
        let mut state = outside.state();
        match next {
            _ if state.is_dead(id) => return Ok(()),
            Ok(Some(event)) => state.hears(place, &event),
            Ok(None) => return Ok(()),
            // The same stream goes on with what is there.
            Err(error) => state.is_told(place, error.pruned().ok_or(error)?.first),
        }
    }
}

/// Goes on as that follower of all runs, from where it left off.
pub(super) fn follow_all(outside: &Arc<Outside>, process: &Process, place: usize) {
    let (outside, me, id) = (Arc::clone(outside), me(process), process.id);
    process.spawn(async move {
        loop {
            let (cursor, mut stream) = outside.state().begin_feed(place);
            if let Ok(mut items) = me.follow_runs(Some(cursor)).await {
                loop {
                    let next = items.next().await;
                    let mut state = outside.state();
                    match next {
                        _ if state.is_dead(id) => return,
                        Ok(item) => state.feed_hears(stream, &item),
                        Err(error) if error.pruned().is_some() => state.feed_is_told(&mut stream),
                        Err(_) => break,
                    }
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
}

/// Somebody wants something of the run.
pub(super) fn act(outside: &Arc<Outside>, process: &Process, run: RunId, wish: Wish) {
    let (outside, me, id) = (Arc::clone(outside), me(process), process.id);
    let mut state = outside.state();
    let place = state.acts.len();
    let tag = format!("act-{place}.");
    state.say(format!("p{id} {tag} {run} {wish:?}"));
    state.acts.push(Act { tag: tag.clone(), run, process: id, answer: None });
    drop(state);
    process.spawn(async move {
        let answer = carry_out(&me, run, wish, &tag).await;
        let mut state = outside.state();
        if state.is_dead(id) {
            return;
        }
        let said = answer.map_err(|error| error.kind());
        state.say(format!("p{id} {tag} {said:?}"));
        if let Some(act) = state.acts.get_mut(place) {
            act.answer = Some(said);
        }
    });
}

async fn carry_out(me: &Acting, run: RunId, wish: Wish, tag: &str) -> Result<()> {
    match wish {
        Wish::Cancel => me.cancel_run(run, tag).await,
        Wish::Resume => me.resume_run(run, tag).await,
        Wish::RetryStep(step) => me.retry_step(run, step, tag).await,
        Wish::RetryUndo => me.retry_undo(run, tag).await,
        Wish::SkipUndo(step) => me.skip_undo(run, step, tag).await,
        Wish::Decide(approved) => {
            let open = me.open_approvals(run).await?;
            let step = open.first().ok_or_else(|| Error::not_found("step"))?.step;
            if approved { me.approve_step(run, step, tag).await } else { me.reject_step(run, step, tag).await }
        }
    }
    .map(drop)
}
