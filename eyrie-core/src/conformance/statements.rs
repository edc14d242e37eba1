//! Steps whose bodies handed over statements: carried out, or refused, as the store says that it can.

use serde_json::json;

use super::{
    commands::{Held, again, at, held, lease_lost, moved, record, steps, whole},
    fixtures::chain,
};
use crate::{
    model::StepState,
    store::{Change, Command, Fence, RecordError, Statement, Statements, Store},
};

/// The end of the first step's attempt, with these statements.
fn transact(attempt: u32, sql: &[&str]) -> Change {
    let mut statements = Statements::default();
    sql.iter().for_each(|sql| statements.push(Statement::new(*sql).unwrap()).unwrap());
    Change::Transact { step: at(0), attempt, output: Some(json!("done")), statements }
}

fn say(message: &str) -> Change {
    Change::Progress { step: at(0), message: message.to_owned() }
}

/// A step is recorded together with its statements, once, and only under the claim and in the attempt that it runs in. A store that
/// carries out none refuses it, and leaves the step as it is.
pub async fn carried_out_or_refused(store: &dyn Store) {
    let (one, two) = (held(store, "one", &chain(&["a", "b"])).await, held(store, "two", &chain(&["a"])).await);
    let command = one.command(transact(1, &["SELECT 1", "SELECT 2"]));
    let before = whole(store, one.run.id).await;
    if !store.capabilities().statements {
        let answers = store.record(&[command, two.command(say("still here"))]).await.unwrap();
        assert!(matches!(&answers[..], [Err(RecordError::Statement(_)), Ok(_)]), "{answers:?}");
        assert_eq!(whole(store, one.run.id).await, before);
        return;
    }
    let stranger = Command::fenced(one.run.id, Fence { epoch: 2, ..one.fence }, command.change.clone());
    lease_lost(record(store, stranger).await, 1);
    moved(one.change(store, transact(2, &["SELECT 1"])).await);
    assert_eq!(whole(store, one.run.id).await, before);
    let done = record(store, command.clone()).await.unwrap();
    let step = store.steps(one.run.id).await.unwrap().remove(0);
    assert_eq!((step.state, step.output.clone(), done.events.len()), (StepState::Succeeded, Some(json!("done")), 1));
    assert_eq!(record(store, again(&command)).await.unwrap().events, done.events);
    moved(one.change(store, transact(1, &["SELECT 1"])).await);
}

/// Statements that cannot be carried out leave their step as it is, and do not touch the others of the batch.
pub async fn failing_among_others(store: &dyn Store) {
    let one = held(store, "one", &chain(&["a"])).await;
    let others = [held(store, "two", &chain(&["a"])).await, held(store, "three", &chain(&["a"])).await];
    let before = whole(store, one.run.id).await;
    let beside = |held: &Held| held.command(transact(1, &["SELECT 1"]));
    let failing = one.command(transact(1, &["SELECT 1", "SELECT x FROM nowhere_to_be_found"]));
    let answers = store.record(&[beside(&others[0]), failing, beside(&others[1])]).await.unwrap();
    assert!(matches!(&answers[1], Err(RecordError::Statement(_))), "{answers:?}");
    assert_eq!(whole(store, one.run.id).await, before);
    let is_able = store.capabilities().statements;
    for (held, answer) in others.iter().zip([&answers[0], &answers[2]]) {
        assert_eq!(answer.is_ok(), is_able, "{answer:?}");
        assert_eq!(steps(store, held.run.id).await, [if is_able { "a succeeded 1" } else { "a running 1" }]);
    }
    one.change(store, say("it may go on")).await.unwrap();
}
