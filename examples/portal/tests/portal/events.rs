//! Event streams: resumed without a gap or a repeat, ended by the portal's closing.

use std::time::Duration;

use serde_json::Value;

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
