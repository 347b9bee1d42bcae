//! What is known of the values of a stretch of time, and what is made of it.

/// Values that differ from each other and are kept as they are, at most. Beyond they are rounded.
const MOST_DISTINCT: usize = 256;
/// Values are rounded to powers of these: to 1 %, and if there are still too many, to 5 %.
const ROUNDED: [f64; 2] = [1.02, 1.1];

/// The values of a stretch of time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Points {
    pub(super) count: f64,
    pub(super) sum: f64,
    pub(super) minimum: f64,
    pub(super) maximum: f64,
    pub(super) values: Values,
}

/// Which values there are, with how often there is each, in ascending order.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Values {
    /// As they were put.
    Exact(Vec<(f64, f64)>),
    /// Rounded.
    Rounded(Vec<(f64, f64)>),
    /// Only sums of them are known.
    Unknown,
}

impl Points {
    /// Values, each with how often there is it. `None` when there is none.
    pub(super) fn of(values: impl IntoIterator<Item = (f64, f64)>) -> Option<Self> {
        let mut all = Self::nothing();
        for (value, count) in values {
            all.count += count;
            all.sum += value * count;
            all.minimum = all.minimum.min(value);
            all.maximum = all.maximum.max(value);
            if let Values::Exact(known) = &mut all.values {
                known.push((value, count));
            }
        }
        all.tidy();
        (all.count > 0.0).then_some(all)
    }

    /// What is known of values that are not known themselves. Percentiles are known all the same when there can be but
    /// one value.
    pub(super) fn of_set(count: f64, sum: f64, minimum: f64, maximum: f64) -> Self {
        let one = count == 1.0 || minimum == maximum;
        let values = if one { Values::Exact(vec![(minimum, count)]) } else { Values::Unknown };
        Self { count, sum, minimum, maximum, values }
    }

    fn nothing() -> Self {
        let values = Values::Exact(Vec::new());
        Self { count: 0.0, sum: 0.0, minimum: f64::INFINITY, maximum: f64::NEG_INFINITY, values }
    }

    /// Adds the values of another stretch.
    pub(super) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.minimum = self.minimum.min(other.minimum);
        self.maximum = self.maximum.max(other.maximum);
        let own = std::mem::replace(&mut self.values, Values::Unknown);
        self.values = match (own, &other.values) {
            (Values::Unknown, _) | (_, Values::Unknown) => Values::Unknown,
            (Values::Exact(mut own), Values::Exact(more)) => {
                own.extend(more);
                Values::Exact(own)
            }
            (Values::Exact(mut own) | Values::Rounded(mut own), Values::Exact(more) | Values::Rounded(more)) => {
                own.extend(more);
                Values::Rounded(own)
            }
        };
        self.tidy();
    }

    /// Brings the values into their order, and rounds them when there are too many.
    fn tidy(&mut self) {
        let (mut values, mut is_exact) = match std::mem::replace(&mut self.values, Values::Unknown) {
            Values::Exact(values) => (values, true),
            Values::Rounded(values) => (values, false),
            Values::Unknown => return,
        };
        join(&mut values);
        for base in ROUNDED {
            if values.len() <= MOST_DISTINCT {
                break;
            }
            is_exact = false;
            values.iter_mut().for_each(|(value, _)| *value = rounded(*value, base));
            join(&mut values);
        }
        self.values = match values.len() > MOST_DISTINCT {
            true => Values::Unknown,
            false if is_exact => Values::Exact(values),
            false => Values::Rounded(values),
        };
    }

    /// The mean.
    pub(super) fn average(&self) -> f64 {
        self.sum / self.count
    }

    /// The smallest value that so many hundredths of all values do not exceed. `None`: the values are not known.
    pub(super) fn percentile(&self, percent: f64) -> Option<f64> {
        let (Values::Exact(values) | Values::Rounded(values)) = &self.values else { return None };
        let rank = self.count * percent / 100.0;
        let mut seen = 0.0;
        let found = values.iter().find(|(_, count)| {
            seen += count;
            // Counts may have fractions, whose sums are not exact.
            seen >= rank * (1.0 - 1e-12)
        });
        let (value, _) = found.or(values.last())?;
        Some(value.clamp(self.minimum, self.maximum))
    }
}

fn join(values: &mut Vec<(f64, f64)>) {
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    values.dedup_by(|next, first| {
        let same = next.0 == first.0;
        if same {
            first.1 += next.1;
        }
        same
    });
}

fn rounded(value: f64, base: f64) -> f64 {
    if value == 0.0 {
        return 0.0;
    }
    let power = (value.abs().ln() / base.ln()).round();
    (power * base.ln()).exp().copysign(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(values: &[f64]) -> Points {
        Points::of(values.iter().map(|value| (*value, 1.0))).unwrap()
    }

    #[test]
    fn statistics_are_those_of_the_values() {
        let mut points = exact(&[3.0, -1.0, 3.0]);
        points.merge(&Points::of([(10.0, 2.0)]).unwrap());
        assert_eq!((points.count, points.sum, points.minimum, points.maximum), (5.0, 25.0, -1.0, 10.0));
        assert_eq!(points.average(), 5.0);
        assert_eq!(points.values, Values::Exact(vec![(-1.0, 1.0), (3.0, 2.0), (10.0, 2.0)]));
        for (percent, value) in
            [(0.0, -1.0), (20.0, -1.0), (20.1, 3.0), (50.0, 3.0), (60.0, 3.0), (99.9, 10.0), (100.0, 10.0)]
        {
            assert_eq!(points.percentile(percent), Some(value), "p{percent}");
        }
        assert_eq!(Points::of([]), None);
    }

    #[test]
    fn percentiles_of_sums_are_known_where_there_is_one_value() {
        assert_eq!(Points::of_set(10.0, 50.0, 1.0, 9.0).percentile(50.0), None);
        assert_eq!(Points::of_set(10.0, 50.0, 5.0, 5.0).percentile(50.0), Some(5.0));
        assert_eq!(Points::of_set(1.0, 5.0, 5.0, 5.0).percentile(50.0), Some(5.0));
        let mut mixed = exact(&[1.0]);
        mixed.merge(&Points::of_set(10.0, 50.0, 1.0, 9.0));
        assert_eq!((mixed.count, mixed.percentile(50.0)), (11.0, None));
    }

    #[test]
    fn many_values_take_little_room_and_stay_close() {
        let mut points = exact(&[0.0]);
        for n in 1..20_000 {
            points.merge(&exact(&[f64::from(n), -f64::from(n) / 1000.0]));
        }
        let Values::Rounded(values) = &points.values else { panic!("{:?}", points.values) };
        assert!(values.len() <= MOST_DISTINCT);
        assert_eq!((points.count, points.maximum), (39_999.0, 19_999.0));
        let p75 = points.percentile(75.0).unwrap();
        assert!((p75 / 10_000.0 - 1.0).abs() < 0.1, "{p75}");
        // What cannot be rounded far enough is not told.
        let wide =
            Points::of((-360..360).flat_map(|power| [(2f64.powi(power), 1.0), (-(2f64.powi(power)), 1.0)])).unwrap();
        assert_eq!((wide.values.clone(), wide.percentile(50.0)), (Values::Unknown, None));
    }
}
