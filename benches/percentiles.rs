//! Percentiles of measured durations.

use std::time::Duration;

/// The value below which `percent` of the samples lie, in milliseconds. Zero for no samples.
pub fn percentile_ms(samples: &mut [Duration], percent: f64) -> f64 {
    samples.sort_unstable();
    let rank = (samples.len() as f64 * percent / 100.0).ceil() as usize;
    samples.get(rank.saturating_sub(1)).map_or(0.0, |sample| round(sample.as_secs_f64() * 1000.0))
}

/// Rounded to three digits behind the point.
pub fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
