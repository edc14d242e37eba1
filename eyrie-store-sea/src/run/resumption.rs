//! Who had a run go on: kept apart from what other transitions write, as it is said seldom.

use eyrie_core::model::Run;

use crate::{
    entity::column::json,
    rows::{
        Kind::{Text, Uuid},
        RowStatement, Rows,
    },
};

/// Behind the statement that writes the run, which makes sure that nobody else was faster.
pub(super) static KEEP_RESUMPTIONS: RowStatement = RowStatement::update("runs", 1, &[("id", Uuid), ("resumption", Text)]);

/// Of those of these runs that were resumed since their latest claim.
pub(super) fn resumption_rows(runs: &[Run]) -> Rows {
    let resumed = runs.iter().filter_map(|run| Some((run.id, run.resumption.as_ref().filter(|resumption| resumption.epoch == run.epoch)?)));
    resumed.map(|(id, resumption)| [id.uuid().into(), json(resumption).into()]).collect()
}
