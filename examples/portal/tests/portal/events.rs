//! Event streams: resumed without a gap or a repeat, ended by the portal's closing.

use std::time::Duration;

use eyrie_core::store::RetentionStore;
use serde_json::{Value, json};

use crate::site::Site;

/// Ids and data of a stream's events.
fn parse(text: &str) -> Vec<(String, Value)> {
    let field = |block: &str, name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(|rest| rest.trim().to_owned());
    text.split("\n\n").filter_map(|block| Some((field(block, "id:")?, serde_json::from_str(&field(block, "data:")?).unwrap()))).collect()
}

#[tokio::test]
async fn a_run_is_followed_again_where_it_was_left() {
    let (site, ann) = Site::with_ann().await;
    let run = site.markup_run().await;
    let path = format!("/api/v1/runs/{}/events", run.id);
    let bearer = format!("Bearer {ann}");
    let all = parse(&site.ask("GET", &path, &[("authorization", &bearer)], "").await.text);
    let ids: Vec<u64> = all.iter().map(|(id, _)| id.parse().unwrap()).collect();
    assert_eq!(ids, (1..=run.last_seq).collect::<Vec<_>>());
    let own = serde_json::json!(run.id);
    assert!(all.iter().all(|(id, event)| event["seq"] == id.parse::<u64>().unwrap() && event["run_id"] == own));
    assert_eq!(all.last().unwrap().1["state"], "failed");
    let cookie = format!("eyrie_session={ann}");
    for left in 1..run.last_seq {
        let left = left.to_string();
        // The header of a reconnect goes before the address that it was opened with.
        let headers = [("cookie", cookie.as_str()), ("last-event-id", left.as_str())];
        let rest = parse(&site.ask("GET", &format!("{path}?after=0"), &headers, "").await.text);
        assert_eq!(rest, all[left.parse().unwrap()..]);
        assert_eq!(parse(&site.get(&ann, &format!("{path}?after={left}")).await.text), rest);
    }
    let last = run.last_seq.to_string();
    assert_eq!(site.ask("GET", &path, &[("authorization", &bearer), ("last-event-id", &last)], "").await.status, 204);
    assert_eq!(site.get(&ann, &format!("{path}?after=99999")).await.problem().0, 422);
}

#[tokio::test]
async fn the_feed_of_all_runs_resumes_and_ends_with_the_portal() {
    let (site, ann) = Site::with_ann().await;
    let run = site.markup_run().await;
    let closing = site.options.closing.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(700)).await;
        closing.cancel();
    });
    let bearer = format!("Bearer {ann}");
    let headers = [("authorization", bearer.as_str())];
    let (all, none) =
        tokio::join!(site.ask("GET", "/api/v1/events?after=0", &headers, ""), site.ask("GET", "/api/v1/events", &headers, ""));
    let all = parse(&all.text);
    assert_eq!(all.len() as u64, run.last_seq);
    assert!(parse(&none.text).is_empty());
}

#[tokio::test]
async fn a_resumed_feed_goes_on_behind_the_cursor() {
    let (site, ann) = Site::with_ann().await;
    site.markup_run().await;
    let bearer = format!("Bearer {ann}");
    let closing = site.options.closing.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(700)).await;
        closing.cancel();
    });
    let headers = [("authorization", bearer.as_str()), ("last-event-id", "2")];
    let (all, second) =
        tokio::join!(site.ask("GET", "/api/v1/events?after=0", &headers[..1], ""), site.ask("GET", "/api/v1/events", &headers, ""));
    let (all, second) = (parse(&all.text), parse(&second.text));
    let from = all.iter().position(|(id, _)| id == "2").unwrap() + 1;
    assert_eq!(second, all[from..]);
}

#[tokio::test]
async fn what_is_no_longer_kept_is_said() {
    let (site, ann) = Site::with_ann().await;
    let run = site.markup_run().await;
    let (path, last) = (format!("/api/v1/runs/{}/events", run.id), run.last_seq);
    let whole = parse(&site.get(&ann, &path).await.text);
    assert_eq!(site.store.trim_runs(run.deployment_id, Duration::ZERO, 100).await.unwrap().events, last - 1);

    let text = site.get(&ann, &path).await.text;
    assert!(text.starts_with("event: pruned\n") || text.contains("\nevent: pruned\n"), "{text}");
    let note = ((last - 1).to_string(), json!({ "type": "pruned", "first": last }));
    assert_eq!(parse(&text), [&[note.clone()][..], &whole[whole.len() - 1..]].concat());
    let bearer = format!("Bearer {ann}");
    // A reconnect behind the note hears no other.
    let rest = site.ask("GET", &path, &[("authorization", &bearer), ("last-event-id", &note.0)], "").await;
    assert_eq!(parse(&rest.text), whole[whole.len() - 1..]);
    let log = site.get(&ann, &format!("/api/v1/runs/{}/log", run.id)).await;
    assert_eq!(log.text, format!("[{} bytes of the log are no longer kept]\n", log.header("eyrie-log-end")));

    let closing = site.options.closing.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(700)).await;
        closing.cancel();
    });
    let feed = site.ask("GET", "/api/v1/events?after=0", &[("authorization", &bearer)], "").await.text;
    let (note, rest) = feed.split_once("\n\n").unwrap();
    assert!(note.contains("event: pruned") && !note.contains("id:"), "{note}");
    assert_eq!(parse(rest).into_iter().map(|(_, event)| event).collect::<Vec<_>>(), [whole.last().unwrap().1.clone()]);
}
