//! The suite that every [`Store`] passes: call [`store`] with something that makes an empty one.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use eyrie_core::{conformance, memory::MemoryStore};
//!
//! conformance::store(async || MemoryStore::new()).await;
//! # });
//! ```
//!
//! Every case is a public function of its own, over an empty store, so that one that fails can be called alone. Cases that let a
//! lease run out wait for it in real time, a good second in all: the store's clock must move.
#![allow(
    clippy::cloned_ref_to_slice_refs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a suite of tests"
)]

pub mod access;
pub mod approvals;
pub mod audit;
pub mod clusters;
pub mod coalescing;
pub mod commands;
pub mod conditions;
pub mod datasources;
pub mod deferral;
pub mod deployments;
pub mod events;
pub mod fixtures;
pub mod groups;
pub mod histories;
pub mod images;
pub mod limits;
pub mod logs;
pub mod monitors;
pub mod positions;
pub mod projects;
pub mod queue;
pub mod releases;
pub mod reports;
pub mod repositories;
pub mod resumption;
pub mod retention;
pub mod schedules;
pub mod secrets;
pub mod services;
pub mod sign_ins;
pub mod statements;
pub mod tokens;
pub mod transitions;
pub mod undo;
pub mod users;
pub mod workers;

use std::{any::Any, future::Future, panic::AssertUnwindSafe, pin::Pin};

use futures_util::FutureExt;

use crate::store::Store;

/// How many random histories are tried.
const SEEDS: u64 = 20;

/// Runs the cases, each on a store of its own.
macro_rules! cases {
    ($fresh:ident: $($family:ident { $($case:ident),+ $(,)? })+) => {$($(
        let name = concat!(stringify!($family), "::", stringify!($case));
        Box::pin(alone(name, &$fresh, |store| Box::pin($family::$case(store)))).await;
    )+)+};
}

/// Runs every case, each on what `fresh` makes. A case whose demands are not met panics with the case's name.
///
/// # Panics
/// When the store is not as its contract says.
pub async fn store<F, Fut, S>(fresh: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = S>,
    S: Store,
{
    cases! { fresh:
        projects {
            kept_and_found, slugs_and_namespaces_are_unique, versions_guard_updates, in_use_is_not_deleted, listed_in_pages,
            members,
        }
        groups {
            kept_and_found, slugs_are_unique_in_the_project, versions_guard_updates, in_use_is_not_deleted, scopes_kept_and_found,
            scopes_in_use,
        }
        deployments {
            kept_and_found, refused_when_doubled_or_astray, filtered_in_pages, versions_guard_updates, with_runs_is_not_deleted,
        }
        services {
            kept_and_found, versions_guard_updates, in_use_is_not_deleted,
        }
        users {
            kept_and_found, the_first_one, the_first_one_in_a_race, versions_guard_updates, sessions_end_with_an_update,
        }
        access {
            kept_and_changed, gone_with_what_they_stand_on, all_that_counts_on_a_path, the_last_admin_stays, hidden_from_lists, hidden_runs,
            hidden_deployed_services,
        }
        tokens {
            kept_and_found, listed, replaced, used, revoked, pruned,
        }
        sign_ins {
            failures_of_a_name_cost_time, a_success_is_forgiven, nobody_is_pushed_out, attempts_at_once_all_count,
        }
        audit {
            listed, filtered, refusals_of_one_source_are_bounded, refusals_are_counted_by_the_minute, refusals_of_others_stay_apart, allowed_entries_are_not_counted,
            entries_of_commands, entries_of_queued_runs, reading_leaves_nothing,
        }
        queue {
            kept_and_found, unknown_is_not_found, request_keys, request_keys_in_a_race, equal_plans_are_shared, listed,
            claim_starts_the_run, claim_order_and_limit, fair_between_projects, abandoned_runs_come_first, serial_per_deployment, cancel_in_the_queue,
            parked_runs_keep_their_turn, poll, claim_needs_a_lease, claims_in_a_race, commands_to_nowhere,
        }
        deferral {
            others_pass_it, a_time_that_has_passed, its_time_is_its_place, due_for_several_workers,
        }
        coalescing {
            the_newest_takes_the_place, in_one_batch, what_has_begun_stays, the_nearest_level_counts, a_changed_setting_counts,
            repeated_keys, a_time_to_wait_for,
        }
        limits {
            of_a_project, of_a_group, of_a_cluster, a_changed_limit_counts, takeover_and_return, claims_in_a_race, gone_with_their_owner,
        }
        positions {
            in_a_deployment, in_a_project, reasons, not_due, unknown_is_not_found,
        }
        transitions {
            settle_start_and_end_are_one, fenced_by_worker_and_epoch, stale_attempts_are_refused, cancel_before_finish,
            finish_before_cancel, cancel_races_finish, retry_pauses, park_and_resume, cancel_of_a_parked_run, cancel_of_a_run_parked_amidst, hand_back,
            failure_skips_the_rest, progress_and_handles, refused_among_others, repeated_commands,
        }
        undo {
            a_failure_is_undone, the_turn_goes_on, what_can_be_undone, an_undo_is_retried, undo_data, takeover_while_undoing,
            repeated_undo_commands, a_cancel_is_undone, a_parked_run_is_cancelled_and_undone, a_cancel_stops_the_undo,
            a_failed_undo_is_retried, a_failed_undo_is_skipped, an_undo_is_parked,
        }
        resumption {
            a_failed_run_goes_on, the_turn_is_awaited, one_step_is_retried, what_cannot_be_retried, attempts_count_anew,
            cancel_of_a_resumed_run, a_parked_run_may_still_be_undone, events_go_on, who_had_it_go_on_is_kept,
        }
        conditions {
            settle_skip_and_start_are_one, what_cannot_be_skipped, a_cancel_drops_what_was_to_be_skipped, a_repeated_skip,
            a_resumed_run_looks_again, an_undo_leaves_what_was_skipped,
        }
        approvals {
            a_run_waits_and_goes_on, a_rejection_fails_the_step, nothing_else_can_be_approved, cancelled_while_waiting,
        }
        schedules {
            kept_and_found, listed, versions_guard_updates, deleted, due_by_the_stores_clock, due_by_the_types_that_are_known,
            fires_once, fires_in_a_race,
        }
        clusters {
            kept_and_found, granted_and_linked, the_nearest_level_counts, gone_for_good,
        }
        datasources {
            kept_and_found, versions_guard_updates, in_use_is_not_deleted,
        }
        secrets {
            kept_and_found, values_are_replaced, in_use_is_not_deleted, keys_are_kept_while_needed, resealed_in_pieces,
        }
        reports {
            oldest_unfinished_of_the_name, expected_names, unfinished_ones_end_with_their_parent, report_ids,
            report_ids_are_the_runs_own, attempts_stay_apart, bounded_by_the_attempt, without_a_parent,
        }
        statements {
            carried_out_or_refused, failing_among_others,
        }
        events {
            run_events, feed, feed_beside_writers,
        }
        logs {
            offsets_are_contiguous, read_by_offset, read_by_size, large_empty_and_astray, the_middle_is_dropped,
        }
        retention {
            trimmed_runs_keep_their_end, what_has_not_ended_is_left_alone, in_small_pieces, a_resumed_run_goes_on,
            forgotten_runs_leave_nothing, what_is_never_forgotten, the_feed_tells, forgetting_races_resuming,
            forgetting_races_queueing, several_at_once,
        }
        workers {
            register_and_renew, expiry, retire, takeover_after_expiry, takeover_after_retirement, takeover_while_cancelling,
        }
        releases {
            made_by_a_deploy, state_follows_the_runs, untouched_by_some_runs, unknown_after_a_cancel, no_service_without_cause,
            nothing_after_a_lost_race, untouched_by_an_undo, made_by_a_resumed_run, listed,
        }
        repositories {
            kept_and_found, slugs_are_unique_with_their_owner, versions_guard_updates, in_use_is_not_deleted, branches_kept_and_found,
            a_move_queues_its_runs, a_stale_move_leaves_nothing, moves_in_a_race,
        }
        monitors {
            kept_and_found, versions_guard_updates, results_change_the_state, refused_results_leave_nothing, results_in_a_race,
            deleted_with_their_deployment, logs_are_pruned,
        }
        images {
            kept_and_found, versions_guard_updates, in_use_is_not_deleted, followed_by_deployments, a_move_queues_its_runs,
        }
    }
    for seed in 1..=SEEDS {
        Box::pin(alone("histories::random_histories", &fresh, |store| Box::pin(histories::random_histories(store, seed)))).await;
    }
}

/// Awaits the case on a store of its own. The case's future is made in the closure: were all of them made in one function, they would
/// not fit onto its stack together.
async fn alone<F, Fut, S>(name: &str, fresh: &F, case: impl for<'a> FnOnce(&'a S) -> Pin<Box<dyn Future<Output = ()> + 'a>>)
where
    F: Fn() -> Fut,
    Fut: Future<Output = S>,
    S: Store,
{
    let store = Box::pin(fresh()).await;
    named(name, case(&store)).await;
}

/// Awaits the case; when it panics, panics with its name before the message.
async fn named(name: &str, case: impl Future<Output = ()>) {
    if let Err(cause) = AssertUnwindSafe(case).catch_unwind().await {
        panic!("{name}: {}", message(cause.as_ref()));
    }
}

fn message(cause: &(dyn Any + Send)) -> &str {
    let text = cause.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| cause.downcast_ref::<&str>().copied()).unwrap_or("it panicked")
}
