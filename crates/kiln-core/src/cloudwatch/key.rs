//! What metrics are called, as rows.

use kiln_model::cloudwatch::Dimension;
use kiln_store::metadata::MetricKey;

/// The row of a metric. `None`: a dimension stands twice.
pub(super) fn key(namespace: &str, name: &str, dimensions: &[Dimension]) -> Option<MetricKey> {
    let mut sorted: Vec<(&str, &str)> = dimensions.iter().map(|d| (d.name.as_str(), d.value.as_str())).collect();
    sorted.sort_unstable();
    if sorted.windows(2).any(|pair| matches!(pair, [a, b] if a.0 == b.0)) {
        return None;
    }
    // Texts can always be written.
    let dimensions = serde_json::to_string(&sorted).unwrap_or_default();
    Some(MetricKey { namespace: namespace.to_owned(), name: name.to_owned(), dimensions })
}

/// The dimensions of a metric.
pub(super) fn dimensions(key: &MetricKey) -> Vec<Dimension> {
    let pairs: Vec<(String, String)> = serde_json::from_str(&key.dimensions).unwrap_or_default();
    pairs.into_iter().map(|(name, value)| Dimension { name, value }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dimension(name: &str, value: &str) -> Dimension {
        Dimension { name: name.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn the_order_of_dimensions_does_not_matter() {
        let (a, b) = (dimension("a", "1\"]"), dimension("b", "[,]"));
        let one = key("n", "m", &[a.clone(), b.clone()]).unwrap();
        assert_eq!(key("n", "m", &[b.clone(), a.clone()]).unwrap(), one);
        assert_eq!(dimensions(&one), [a.clone(), b]);
        assert_eq!(key("n", "m", &[a.clone(), a]), None);
        assert_eq!(dimensions(&key("n", "m", &[]).unwrap()), []);
    }
}
