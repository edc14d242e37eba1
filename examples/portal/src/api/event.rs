//! Live events as Server-Sent Events.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use eyrie_core::{
    error::Pruned,
    id::RunId,
    model::RunEvent,
    platform::{RunStream, RunsStream},
};
use futures_util::stream::{self, Stream};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    authentication::Follower,
    portal::Portal,
    problem::{Answer, Problem},
    request::{Filter, Id, single},
};

pub(super) fn routes() -> OpenApiRouter<Portal> {
    OpenApiRouter::new().routes(routes!(of_run)).routes(routes!(of_all))
}

/// Counts a stream for as long as it is open, however it ends.
struct Open(Arc<AtomicI64>);

impl Open {
    fn new(count: &Arc<AtomicI64>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The events of one run, each once and in order; the id is its number. Ends after the last one; then asking again answers 204. When
/// some of those asked for are no longer kept, an event `pruned` says so first: `{"type": "pruned", "first": NUMBER}`.
#[utoipa::path(get, path = "/api/v1/runs/{id}/events", tag = "events",
    params(("id" = String, Path), ("after" = Option<u64>, Query, description = "Begin behind this number."),
        ("Last-Event-ID" = Option<u64>, Header, description = "The same; goes before `after`.")),
    responses((status = 200, description = "The events.", content_type = "text/event-stream"), (status = 204, description = "There are no more.")))]
async fn of_run(
    State(portal): State<Portal>,
    Follower(acting): Follower,
    Id(id): Id<RunId>,
    headers: HeaderMap,
    mut filter: Filter,
) -> Answer {
    let asked = filter.take_number("after")?;
    filter.end()?;
    let after = match single(&headers, "last-event-id")? {
        Some(text) => text.parse().map_err(|_| Problem::invalid("Last-Event-ID", "must be the number of an event"))?,
        None => asked.unwrap_or(0),
    };
    let run = acting.run(id).await?.run;
    if after > run.last_seq {
        return Err(Problem::invalid("after", "the run has no such event yet"));
    }
    if run.state.is_terminal() && after == run.last_seq {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let follow = acting.follow_run(id, after).await?;
    let state = (follow, portal.options.closing.clone(), Open::new(&portal.open_streams));
    Ok(answer(stream::unfold(state, next_of_run)))
}

async fn next_of_run(
    (mut follow, closing, open): (RunStream, CancellationToken, Open),
) -> Option<(Result<Event, Infallible>, (RunStream, CancellationToken, Open))> {
    let event = tokio::select! {
        event = follow.next() => event,
        () = closing.cancelled() => return None,
    };
    let shown = match event {
        Ok(event) => event.and_then(|event| shown(event.seq.to_string(), &event))?,
        // A client that comes back goes on behind what is gone.
        Err(error) => error.pruned().map(|gone| pruned(gone).id((gone.first - 1).to_string()))?,
    };
    Some((Ok(shown), (follow, closing, open)))
}

/// The events of all runs that the asker may see, from now on or from behind a cursor; the id is the cursor. May repeat one. When
/// events behind the cursor are no longer kept, perhaps of others, an event `pruned` without an id says so; what is there follows.
#[utoipa::path(get, path = "/api/v1/events", tag = "events",
    params(("after" = Option<String>, Query, description = "Begin behind this cursor."),
        ("Last-Event-ID" = Option<String>, Header, description = "The same; goes before `after`.")),
    responses((status = 200, description = "The events.", content_type = "text/event-stream")))]
async fn of_all(State(portal): State<Portal>, Follower(acting): Follower, headers: HeaderMap, mut filter: Filter) -> Answer {
    let asked = filter.take("after")?;
    filter.end()?;
    let after = match single(&headers, "last-event-id")? {
        Some(text) => Some(text.parse().map_err(|_| Problem::invalid("Last-Event-ID", "must be the id of an event of this feed"))?),
        None => asked,
    };
    let follow = acting.follow_runs(after).await?;
    let state = (follow, portal.options.closing.clone(), Open::new(&portal.open_streams));
    Ok(answer(stream::unfold(state, next_of_all)))
}

async fn next_of_all(
    (mut follow, closing, open): (RunsStream, CancellationToken, Open),
) -> Option<(Result<Event, Infallible>, (RunsStream, CancellationToken, Open))> {
    let item = tokio::select! {
        item = follow.next() => item,
        () = closing.cancelled() => return None,
    };
    let shown = match item {
        Ok(item) => shown(item.cursor.to_string(), &item.event)?,
        // No id: a client that comes back from before it reads what is still there, and is told again.
        Err(error) => error.pruned().map(pruned)?,
    };
    Some((Ok(shown), (follow, closing, open)))
}

fn shown(id: String, event: &RunEvent) -> Option<Event> {
    Some(Event::default().id(id).data(serde_json::to_string(event).ok()?))
}

/// Says that events are gone. Any other error ends the stream: the client comes back and continues, or hears why it may not.
fn pruned(Pruned { first }: Pruned) -> Event {
    Event::default().event("pruned").data(json!({ "type": "pruned", "first": first }).to_string())
}

fn answer(events: impl Stream<Item = Result<Event, Infallible>> + Send + 'static) -> Response {
    let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))).into_response();
    response.headers_mut().insert("x-accel-buffering", axum::http::HeaderValue::from_static("no"));
    response
}
