//! A deployment's monitors, with their state and latest results.

use eyrie_core::{
    id::DeploymentId,
    model::{Monitor, MonitorCheck, MonitorLog},
    store::{MonitorFilter, PageRequest},
};
use maud::{Markup, html};

use super::{
    PageAnswer,
    layout::{badge, text},
    time::moment,
};
use crate::authentication::Visitor;

/// How many results of each are shown.
const RESULTS: u32 = 5;

/// The section of a deployment's page; nothing where there is no monitor.
pub(super) async fn section(visitor: &Visitor, deployment: DeploymentId) -> PageAnswer<Markup> {
    let monitors = visitor.acting.monitors(deployment, MonitorFilter::default(), PageRequest::default()).await?.items;
    let mut rows = Vec::with_capacity(monitors.len());
    for monitor in monitors {
        let lines = visitor.acting.monitor_logs(monitor.id, PageRequest::first(RESULTS)?).await?.items;
        rows.push(row(&monitor, &lines));
    }
    Ok(html! {
        @if !rows.is_empty() {
            h2 { "Monitors" }
            div.scroll { table {
                thead { tr { th { "State" } th { "Monitor" } th { "Checks" } th { "Since" } th { "Latest results" } } }
                tbody { @for row in rows { (row) } }
            } }
        }
    })
}

fn row(monitor: &Monitor, lines: &[MonitorLog]) -> Markup {
    html! { tr {
        td { (badge(monitor.status.state().as_str())) }
        td { (monitor.slug) @if !monitor.enabled { " " (badge("paused")) } }
        td {
            @match &monitor.check {
                MonitorCheck::HttpRequest { url, method, expected_status, .. } => {
                    code { (method) " " (text(url.as_str())) } ", expects " (expected_status)
                },
                MonitorCheck::Resource { kind } => (kind),
            }
            ", every " (monitor.interval_seconds) " s"
        }
        td { (moment(monitor.status.since())) }
        td.message {
            @if lines.is_empty() { "–" }
            @for line in lines {
                div {
                    (moment(line.at)) " " (line.result.outcome)
                    @if let Some(value) = line.result.value { " " (value) }
                    @if !line.result.message.is_empty() { " " (text(&line.result.message)) }
                }
            }
        }
    } }
}
