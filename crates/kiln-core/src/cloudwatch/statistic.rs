//! Names of statistics.

use kiln_model::cloudwatch::Statistic;

use super::points::Points;

/// What is made of the values of a period.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Stat {
    Simple(Statistic),
    /// Hundredths.
    Percentile(f64),
}

impl Stat {
    /// `Sum`, `Average`, …, or a percentile.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let simple = Statistic::ALL.iter().find(|known| known.as_str() == text).copied().map(Self::Simple);
        simple.or_else(|| percentile(text).map(Self::Percentile))
    }

    /// `None`: it does not follow from what is known of the values.
    pub(super) fn of(self, points: &Points) -> Option<f64> {
        match self {
            Self::Simple(Statistic::SampleCount) => Some(points.count),
            Self::Simple(Statistic::Average) => Some(points.average()),
            Self::Simple(Statistic::Sum) => Some(points.sum),
            Self::Simple(Statistic::Minimum) => Some(points.minimum),
            Self::Simple(Statistic::Maximum) => Some(points.maximum),
            Self::Percentile(percent) => points.percentile(percent),
        }
    }
}

/// `p0` to `p100`, with up to ten decimals.
pub(super) fn percentile(text: &str) -> Option<f64> {
    let number = text.strip_prefix('p')?;
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_form = (1..=3).contains(&whole.len())
        && digits(whole)
        && digits(decimals)
        && decimals.len() <= 10
        && number.contains('.') != decimals.is_empty();
    number.parse().ok().filter(|percent| is_form && *percent <= 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_have_one_form() {
        for (text, percent) in [("p50", 50.0), ("p0", 0.0), ("p100", 100.0), ("p99.95", 99.95), ("p05", 5.0)] {
            assert_eq!(percentile(text), Some(percent), "{text}");
        }
        for bad in ["", "p", "50", "p101", "p-1", "p1e1", "p50.", "p.5", "P50", "p99.12345678901", "p 5", "pNaN"] {
            assert_eq!(percentile(bad), None, "{bad}");
        }
    }
}
