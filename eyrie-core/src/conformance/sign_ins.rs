//! Failed sign-ins.

use std::{net::IpAddr, time::Duration};

use crate::{
    clock::{Timestamp, from_micros, later},
    model::SignInAttempt,
    store::Store,
};

fn start() -> Timestamp {
    from_micros(1_800_000_000_000_000)
}

fn attempt(name: &str, address: Option<[u8; 4]>, after: Duration) -> SignInAttempt {
    SignInAttempt::new(name, address.map(IpAddr::from), later(start(), after))
}

/// After five failures of a name each further one waits, twice as long each time; another name and no name at all do not. Whoever
/// waits is not counted.
pub async fn failures_of_a_name_cost_time(store: &dyn Store) {
    let begin = async |name: &str, seconds| store.begin_sign_in(&attempt(name, None, Duration::from_secs(seconds))).await.unwrap();
    for _ in 0..5 {
        assert_eq!(begin("ann", 0).await, None);
    }
    for _ in 0..3 {
        assert_eq!(begin("ann", 0).await, Some(Duration::from_secs(1)));
    }
    assert_eq!(begin("bob", 0).await, None);
    assert_eq!(begin("ann", 1).await, None);
    assert_eq!(begin("ann", 1).await, Some(Duration::from_secs(2)));
    assert_eq!(begin("ann", 2).await, Some(Duration::from_secs(1)));
    assert_eq!(begin("ann", 1000).await, None, "it was forgotten");
    assert_eq!(begin("ann", 1000).await, None);
}

/// Whoever has signed in is forgiven by name; of the address only that attempt is.
pub async fn a_success_is_forgiven(store: &dyn Store) {
    let from = Some([192, 0, 2, 1]);
    for name in 0..29 {
        assert_eq!(store.begin_sign_in(&attempt(&format!("name{name}"), from, Duration::ZERO)).await.unwrap(), None);
    }
    let ann = attempt("ann", from, Duration::ZERO);
    for _ in 0..3 {
        assert_eq!(store.begin_sign_in(&ann).await.unwrap(), None, "the one that succeeded is counted");
        store.forgive_sign_in(&ann).await.unwrap();
    }
    assert_eq!(store.begin_sign_in(&ann).await.unwrap(), None);
    assert!(store.begin_sign_in(&attempt("bob", from, Duration::ZERO)).await.unwrap().is_some(), "thirty failed from there");
    assert_eq!(store.begin_sign_in(&attempt("bob", Some([192, 0, 2, 2]), Duration::ZERO)).await.unwrap(), None);
    assert_eq!(store.begin_sign_in(&attempt("bob", None, Duration::ZERO)).await.unwrap(), None);
    store.forgive_sign_in(&attempt("nobody", Some([192, 0, 2, 9]), Duration::ZERO)).await.unwrap();
}

/// Whatever else is tried, what is known of a name stays known.
pub async fn nobody_is_pushed_out(store: &dyn Store) {
    let ann = attempt("ann", None, Duration::ZERO);
    for _ in 0..5 {
        store.begin_sign_in(&ann).await.unwrap();
    }
    for other in 0..300 {
        store.begin_sign_in(&attempt(&format!("other{other}"), None, Duration::ZERO)).await.unwrap();
    }
    assert!(store.begin_sign_in(&ann).await.unwrap().is_some());
}

/// Of many attempts at once no more are let through than of as many one after the other.
pub async fn attempts_at_once_all_count(store: &dyn Store) {
    let ann = attempt("ann", None, Duration::ZERO);
    let at_once = (0..20).map(|_| store.begin_sign_in(&ann));
    let answers = futures_util::future::join_all(at_once).await;
    let let_through = answers.into_iter().filter(|answer| answer.as_ref().unwrap().is_none()).count();
    assert_eq!(let_through, 5);
}
