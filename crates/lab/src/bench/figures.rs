//! Figures of several rounds, and the aims that they are held against.

use serde::Serialize;

/// Median and range of the figures of several rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct FigureSpread {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl FigureSpread {
    /// Of no figures it is not a number.
    pub(super) fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = figures.into_iter().collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        let half = sorted.len() / 2;
        let median =
            if sorted.len().is_multiple_of(2) { f64::midpoint(at(half.wrapping_sub(1)), at(half)) } else { at(half) };
        Self { median, min: at(0), max: at(sorted.len().wrapping_sub(1)) }
    }

    /// The median, and between which figures it lies, with so many decimals.
    pub(super) fn show(&self, decimals: usize) -> String {
        let Self { median, min, max } = self;
        format!("{median:.decimals$} ({min:.decimals$}–{max:.decimals$})")
    }

    /// [`Self::show`] for differences, which have a sign.
    pub(super) fn show_signed(&self, decimals: usize) -> String {
        let Self { median, min, max } = self;
        format!("{median:+.decimals$} ({min:+.decimals$} to {max:+.decimals$})")
    }
}

/// On which side of a figure one should be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum AimLimit {
    AtMost(f64),
    AtLeast(f64),
}

/// A figure that somebody has set an aim for.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PerformanceAim {
    pub(super) what: String,
    pub(super) unit: &'static str,
    pub(super) measured: FigureSpread,
    pub(super) limit: AimLimit,
    /// Whether the median of the rounds is on the right side. Noise may decide it: see the spread.
    pub(super) met: bool,
}

impl PerformanceAim {
    pub(super) fn new(what: impl Into<String>, unit: &'static str, measured: FigureSpread, limit: AimLimit) -> Self {
        let met = match limit {
            AimLimit::AtMost(limit) => measured.median <= limit,
            AimLimit::AtLeast(limit) => measured.median >= limit,
        };
        Self { what: what.into(), unit, measured, limit, met }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle_whatever_the_order() {
        assert_eq!(FigureSpread::of([3.0, 1.0, 2.0]), FigureSpread { median: 2.0, min: 1.0, max: 3.0 });
        assert_eq!(FigureSpread::of([4.0, 1.0, 2.0, 3.0]), FigureSpread { median: 2.5, min: 1.0, max: 4.0 });
        assert_eq!(FigureSpread::of([7.0]), FigureSpread { median: 7.0, min: 7.0, max: 7.0 });
        assert!(FigureSpread::of([]).median.is_nan());
    }

    #[test]
    fn an_aim_is_met_on_its_limit_and_never_by_nothing() {
        let exactly = FigureSpread::of([1.0]);
        assert!(PerformanceAim::new("", "", exactly, AimLimit::AtMost(1.0)).met);
        assert!(PerformanceAim::new("", "", exactly, AimLimit::AtLeast(1.0)).met);
        assert!(!PerformanceAim::new("", "", exactly, AimLimit::AtLeast(1.1)).met);
        assert!(!PerformanceAim::new("", "", FigureSpread::of([]), AimLimit::AtMost(1.0)).met);
    }
}
