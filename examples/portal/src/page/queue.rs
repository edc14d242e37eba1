//! Where runs stand in the queue, in words.

use eyrie_core::{
    id::{DeploymentId, RunId},
    model::{Ahead, QueuePlace, Run, RunState},
    platform::QueuedRun,
    store::{PageRequest, QueueOf},
};
use maud::{Markup, html};

use super::{
    PageAnswer,
    layout::{badge, text},
    time::moment,
};
use crate::authentication::Visitor;

/// The most runs of a queue that stand on a deployment's page.
const SHOWN: u32 = 20;

/// Where a run that waits stands, and why.
pub(super) async fn place(visitor: &Visitor, run: &Run) -> PageAnswer<Markup> {
    if !matches!(run.state, RunState::Queued | RunState::Waiting | RunState::Parked) {
        return Ok(html! {});
    }
    let place = visitor.acting.queue_place(run.id).await?;
    Ok(html! { p #place .place { (words(&place)) } })
}

/// The runs of a deployment that wait, if any do, behind the one that has the turn.
pub(super) async fn of_deployment(visitor: &Visitor, id: DeploymentId) -> PageAnswer<Markup> {
    let queue = visitor.acting.queue(QueueOf::Deployment(id), PageRequest::first(SHOWN)?).await?;
    if queue.items.iter().all(|queued| queued.queue.wait.is_none()) {
        return Ok(html! {});
    }
    Ok(html! {
        h2 { "Queue" }
        ol.queue { @for QueuedRun { run, queue } in &queue.items {
            li { (badge(run.state.as_str())) " " a href={ "/runs/" (run.id) } { (run.kind) } " asked for " (moment(run.queued_at)) " by "
                (text(&run.requested_by.to_string())) ": " (words(queue)) }
        } }
        @if queue.next.is_some() { p.faint { "The first " (SHOWN) "; the API has every one." } }
    })
}

/// The place in words, with a link to the run before it.
fn words(place: &QueuePlace) -> Markup {
    let told = place.to_string();
    let linked = match place.behind {
        Some(Ahead { run: Some(run) }) => told.strip_suffix(&run.to_string()).map(|told| (told, run)),
        _ => None,
    };
    match linked {
        Some((told, run)) => html! { (told) (link(run)) },
        None => html! { (told) },
    }
}

fn link(run: RunId) -> Markup {
    html! { a href={ "/runs/" (run) } { code { (run) } } }
}
