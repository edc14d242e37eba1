//! What may be decided about a run, on its page.

use eyrie_core::model::{Plan, Role, RunState, StopPolicy};

use crate::{
    browser::{hidden, send},
    site::Site,
};

/// The buttons of the run's page, by their ids.
async fn buttons(site: &Site, session: &str, place: &str) -> Vec<String> {
    let page = site.ask("GET", place, &[("cookie", session)], "").await;
    assert_eq!(page.status, 200, "{}", page.text);
    assert!(!page.text.contains("style=") && !page.text.contains("<script>"), "{}", page.text);
    let tags = page.text.split("<button").skip(1).map(|rest| rest.split('>').next().unwrap());
    tags.filter_map(|tag| Some(tag.split_once("id=\"")?.1.split('"').next()?.to_owned())).collect()
}

async fn form_token(site: &Site, session: &str, place: &str) -> String {
    hidden(&site.ask("GET", place, &[("cookie", session)], "").await.text, "csrf")
}

#[tokio::test]
async fn an_approval_is_answered_on_the_page() {
    let (site, ann) = Site::with_ann().await;
    let session = format!("eyrie_session={ann}");
    let plan = Plan::builder()
        .approval("<i>sign</i>", Role::Admin, |step| step)
        .approval("second", Role::Developer, |step| step.needs(["<i>sign</i>"]))
        .build()
        .unwrap();
    let run = site.run_of(plan).await;
    assert_eq!(run.state, RunState::Waiting);
    let place = format!("/runs/{}", run.id);
    for part in ["", "/live"] {
        let page = site.ask("GET", &format!("{place}{part}"), &[("cookie", &session)], "").await.text;
        assert!(page.contains("Waits for approval: &lt;i&gt;sign&lt;/i&gt;") && page.contains("<strong>admin</strong>"), "{page}");
        assert!(page.contains("<li class=\"step\" data-state=\"waiting\">") && !page.contains("Waits for approval: second"), "{page}");
    }
    assert_eq!(buttons(&site, &session, &place).await, ["approve-0", "reject-0", "cancel"]);
    let form = format!("csrf={}&reason=looks+good", form_token(&site, &session, &place).await);
    let approve = format!("{place}/steps/0/approve");
    assert_eq!(send(&site, &approve, &session, &[("sec-fetch-site", "cross-site")], &form).await.status, 403);
    assert_eq!(send(&site, &approve, &session, &[], "csrf=0&reason=x").await.status, 403);
    assert_eq!(send(&site, &approve, "", &[], &form).await.header("location"), "/login");
    let bob = format!("eyrie_session={}", site.outsider().await);
    let bobs = format!("csrf={}", form_token(&site, &bob, "/").await);
    assert_eq!(send(&site, &approve, &bob, &[], &bobs).await.status, 404);
    assert_eq!(site.ended(run.id).await.state, RunState::Waiting);
    assert_eq!(send(&site, &approve, &session, &[], &form).await.header("location"), place);
    while buttons(&site, &session, &place).await != ["approve-1", "reject-1", "cancel"] {
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    assert_eq!(send(&site, &approve, &session, &[], &form).await.status, 409, "it has been answered");
    assert_eq!(send(&site, &format!("{place}/steps/1/reject"), &session, &[], &form).await.status, 303);
    let run = site.ended(run.id).await;
    assert_eq!(run.state, RunState::Failed);
    assert!(run.message.ends_with("looks good"), "{}", run.message);
}

#[tokio::test]
async fn a_failed_run_is_resumed_retried_and_run_again() {
    let (site, ann) = Site::with_ann().await;
    let session = format!("eyrie_session={ann}");
    let run = site.markup_run().await;
    let place = format!("/runs/{}", run.id);
    let offered = ["resume", "rerun", "retry-0"];
    assert_eq!(buttons(&site, &session, &place).await, offered);
    let page = site.ask("GET", &place, &[("cookie", &session)], "").await.text;
    let csrf = hidden(&page, "csrf");
    let form = format!("csrf={csrf}");
    for button in ["resume", "steps/0/retry", "rerun", "retry-undo", "steps/0/skip-undo"] {
        let path = format!("{place}/{button}");
        assert_eq!(send(&site, &path, &session, &[("origin", "http://evil.test")], &form).await.status, 403, "{button}");
        assert_eq!(send(&site, &path, &session, &[], "csrf=0").await.status, 403, "{button}");
    }
    assert_eq!(site.ended(run.id).await.last_seq, run.last_seq, "nothing was done");
    for (button, attempt) in [("resume", 2), ("steps/0/retry", 3)] {
        assert_eq!(send(&site, &format!("{place}/{button}"), &session, &[], &form).await.header("location"), place, "{button}");
        assert_eq!(site.ended(run.id).await.state, RunState::Failed);
        let view = site.get(&ann, &format!("/api/v1{place}")).await.json();
        assert_eq!(view["steps"][0]["attempt"], attempt, "{button}");
    }
    for button in ["retry-undo", "steps/0/skip-undo"] {
        assert_eq!(send(&site, &format!("{place}/{button}"), &session, &[], &form).await.status, 409, "{button}");
    }
    let again = format!("csrf={csrf}&key={}", hidden(&page, "key"));
    let first = send(&site, &format!("{place}/rerun"), &session, &[], &again).await;
    assert_eq!(first.status, 303, "{}", first.text);
    assert_ne!(first.header("location"), place);
    let second = send(&site, &format!("{place}/rerun"), &session, &[], &again).await;
    assert_eq!(first.header("location"), second.header("location"), "sent twice, started once");
    let new = site.ended(first.header("location").trim_start_matches("/runs/").parse().unwrap()).await;
    assert_eq!((new.state, new.plan_hash), (RunState::Failed, run.plan_hash));
}

#[tokio::test]
async fn an_undo_that_failed_is_retried_or_skipped() {
    let (site, ann) = Site::with_ann().await;
    let session = format!("eyrie_session={ann}");
    let plan = Plan::builder().step("a", "test.markup", |step| step.undo()).on_failure(StopPolicy::Undo).build().unwrap();
    let run = site.run_of(plan).await;
    assert_eq!(run.state, RunState::UndoFailed);
    let place = format!("/runs/{}", run.id);
    let page = site.ask("GET", &place, &[("cookie", &session)], "").await.text;
    assert!(page.contains("undo failed") && page.contains("Not everything was undone"), "{page}");
    assert_eq!(buttons(&site, &session, &place).await, ["retry-undo", "rerun", "skip-undo-0"]);
    let form = format!("csrf={}", hidden(&page, "csrf"));
    assert_eq!(send(&site, &format!("{place}/retry-undo"), &session, &[], &form).await.header("location"), place);
    assert_eq!(site.ended(run.id).await.state, RunState::UndoFailed);
    assert_eq!(send(&site, &format!("{place}/resume"), &session, &[], &form).await.status, 409);
    assert_eq!(send(&site, &format!("{place}/steps/0/skip-undo"), &session, &[], &form).await.header("location"), place);
    assert_eq!(site.ended(run.id).await.state, RunState::Undone);
    assert_eq!(buttons(&site, &session, &place).await, ["rerun"]);
}
