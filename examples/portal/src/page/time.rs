//! Times and durations as people read them.

use eyrie_core::Timestamp;
use maud::{Markup, html};

/// A point in time, in UTC to the second; the script shows it in the reader's own zone.
pub(super) fn moment(at: Timestamp) -> Markup {
    let exact = at.to_string();
    let short: String = exact.chars().take(19).map(|c| if c == 'T' { ' ' } else { c }).collect();
    html! { time datetime=(exact) data-moment { (short) " UTC" } }
}

/// How long it took, or has taken so far: then the script lets it tick.
pub(super) fn duration(from: Option<Timestamp>, to: Option<Timestamp>) -> Markup {
    let Some(from) = from else { return html! { "–" } };
    let end = to.unwrap_or_else(Timestamp::now);
    let millis = end.as_millisecond().saturating_sub(from.as_millisecond()).max(0);
    html! {
        @if to.is_some() { span.duration { (spoken(millis)) } }
        @else { span.duration data-ticks=(millis) { (spoken(millis)) } }
    }
}

fn spoken(millis: i64) -> String {
    let seconds = millis / 1000;
    match seconds {
        0..10 => format!("{}.{} s", seconds, millis % 1000 / 100),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::spoken;

    #[test]
    fn durations_are_short() {
        let shown = [240, 9_900, 61_000, 3_660_000].map(spoken);
        assert_eq!(shown, ["0.2 s", "9.9 s", "1 min 01 s", "1 h 01 min"]);
    }
}
