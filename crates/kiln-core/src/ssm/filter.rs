//! Conditions of lists of parameters.

use kiln_model::{
    ApiError, ErrorCode,
    ssm::{ParameterStringFilter, ParametersFilter},
};

use super::{
    document::{Document, VersionDocument},
    error,
    get::is_below,
    invalid,
};

/// What `GetParametersByPath` compares.
pub(super) const BY_PATH: [&str; 3] = ["Type", "KeyId", "Label"];
/// What `DescribeParameters` compares, beside tags.
pub(super) const DESCRIBED: [&str; 7] = ["Name", "Type", "KeyId", "Path", "Tier", "DataType", "tag:"];

/// Refuses what is no path.
pub(super) fn check_path(path: &str) -> Result<(), ApiError> {
    let is_well_formed = path.starts_with('/')
        && !path.contains("//")
        && path.chars().all(|c| c.is_ascii_alphanumeric() || "/.-_".contains(c));
    if is_well_formed {
        return Ok(());
    }
    Err(invalid(
        "The parameter doesn't meet the parameter name requirements. The parameter name must begin with a forward slash \
         \"/\". It can't be prefixed with \"aws\" or \"ssm\" (case-insensitive). It must use only letters, numbers, or the \
         following symbols: . (period), - (hyphen), _ (underscore). Special characters are not allowed. All sub-paths, if \
         specified, must use the forward slash symbol \"/\". Valid example: /get/parameters2-/by1./path0_.",
    ))
}

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Equals,
    BeginsWith,
    Contains,
    Recursive,
    OneLevel,
}

#[derive(Debug)]
struct Condition {
    key: String,
    how: How,
    values: Vec<String>,
}

/// Conditions, all of which are to be fulfilled.
#[derive(Debug, Default)]
pub(super) struct Filters(Vec<Condition>);

impl Filters {
    /// Reads conditions on what `keys` says.
    pub(super) fn parse(filters: Option<Vec<ParameterStringFilter>>, keys: &[&str]) -> Result<Self, ApiError> {
        let mut conditions: Vec<Condition> = Vec::new();
        for ParameterStringFilter { key, option, values } in filters.unwrap_or_default() {
            let is_known = keys.iter().any(|known| key == *known || (*known == "tag:" && key.starts_with("tag:")));
            if !is_known {
                let message = format!(
                    "The following filter key is not valid: {key}. Valid filter keys include: [{}].",
                    keys.join(", ")
                );
                return Err(error(ErrorCode::InvalidFilterKey, message));
            }
            if conditions.iter().any(|known| known.key == key) {
                return Err(error(ErrorCode::InvalidFilterKey, format!("The filter key {key} stands twice.")));
            }
            let how = match (key.as_str(), option.as_deref()) {
                ("Path", Some("Recursive")) => How::Recursive,
                ("Path", None | Some("OneLevel")) => How::OneLevel,
                ("Path", _) => return Err(option_refused(&key, "Recursive, OneLevel")),
                (_, None | Some("Equals")) => How::Equals,
                ("Name" | "KeyId" | "DataType", Some("BeginsWith")) => How::BeginsWith,
                ("Name", Some("Contains")) => How::Contains,
                ("Name", _) => return Err(option_refused(&key, "BeginsWith, Equals, Contains")),
                ("KeyId" | "DataType", _) => return Err(option_refused(&key, "BeginsWith, Equals")),
                _ => return Err(option_refused(&key, "Equals")),
            };
            // A tag may be asked for without a value.
            let values = values.unwrap_or_default();
            if values.is_empty() && !key.starts_with("tag:") {
                return Err(error(ErrorCode::InvalidFilterValue, format!("The filter {key} has no values.")));
            }
            if key == "Path" {
                values.iter().try_for_each(|path| check_path(path))?;
            }
            conditions.push(Condition { key, how, values });
        }
        Ok(Self(conditions))
    }

    /// Reads conditions in their older form, which compares how names begin.
    pub(super) fn of_older(filters: Vec<ParametersFilter>) -> Self {
        let condition = |filter: ParametersFilter| {
            let key = filter.key.as_str().to_owned();
            let how = if key == "Name" { How::BeginsWith } else { How::Equals };
            Condition { key, how, values: filter.values }
        };
        Self(filters.into_iter().map(condition).collect())
    }

    /// The version that a condition on labels asks for: `None` without such a condition, else `Some` of it, if there is one.
    pub(super) fn label(&self, document: &Document) -> Option<Option<i64>> {
        let condition = self.0.iter().find(|condition| condition.key == "Label")?;
        Some(condition.values.iter().find_map(|label| document.labels.get(label)).copied())
    }

    /// Whether a parameter fulfils all.
    pub(super) fn fulfilled(&self, name: &str, version: &VersionDocument, document: &Document) -> bool {
        self.0.iter().all(|Condition { key, how, values }| {
            let has = |text: &str| values.iter().any(|value| compare(*how, text, value));
            match key.as_str() {
                "Name" => has(name),
                "Path" => values.iter().any(|path| is_below(name, path, *how == How::Recursive)),
                "Type" => has(version.kind.as_str()),
                "Tier" => has(version.tier.as_str()),
                "DataType" => has(&version.data_type),
                "KeyId" => version.key.as_deref().is_some_and(has),
                // It has chosen the version already.
                "Label" => true,
                tag => {
                    let value = document.tags.get(tag.trim_start_matches("tag:"));
                    value.is_some_and(|value| values.is_empty() || has(value))
                }
            }
        })
    }
}

fn option_refused(key: &str, known: &str) -> ApiError {
    let message = format!("The following filter option is not valid for {key}. Valid options include: [{known}].");
    error(ErrorCode::InvalidFilterOption, message)
}

fn compare(how: How, text: &str, value: &str) -> bool {
    match how {
        How::Equals => text == value,
        How::BeginsWith => text.starts_with(value),
        How::Contains => text.contains(value),
        How::Recursive | How::OneLevel => false,
    }
}

#[cfg(test)]
mod tests {
    use kiln_model::ssm::{ParameterTier, ParameterType};

    use super::*;

    fn filter(key: &str, option: Option<&str>, values: &[&str]) -> ParameterStringFilter {
        ParameterStringFilter {
            key: key.to_owned(),
            option: option.map(str::to_owned),
            values: Some(values.iter().map(|value| (*value).to_owned()).collect()),
        }
    }

    #[test]
    fn conditions_compare_as_aws_says() {
        let mut version = VersionDocument::new(ParameterType::SecureString, ParameterTier::Standard, "arn".to_owned());
        version.key = Some("alias/aws/ssm".to_owned());
        let mut document = Document::new();
        document.tags.insert("Team".to_owned(), "blue".to_owned());
        let fulfils = |key: &str, option, values: &[&str]| {
            let filters = Filters::parse(Some(vec![filter(key, option, values)]), &DESCRIBED).unwrap();
            filters.fulfilled("/app/db", &version, &document)
        };
        assert!(fulfils("Name", None, &["/app/db"]) && !fulfils("Name", None, &["/app"]));
        assert!(fulfils("Name", Some("BeginsWith"), &["x", "/app"]) && fulfils("Name", Some("Contains"), &["p/d"]));
        assert!(fulfils("Type", None, &["SecureString"]) && !fulfils("Type", None, &["String"]));
        assert!(fulfils("KeyId", Some("BeginsWith"), &["alias/"]) && fulfils("Tier", None, &["Standard"]));
        assert!(fulfils("Path", None, &["/app"]) && !fulfils("Path", None, &["/"]));
        assert!(fulfils("Path", Some("Recursive"), &["/"]) && fulfils("DataType", None, &["text"]));
        assert!(fulfils("tag:Team", None, &["blue"]) && fulfils("tag:Team", None, &[]) && !fulfils("tag:x", None, &[]));
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        let code = |one: ParameterStringFilter, keys: &[&str]| Filters::parse(Some(vec![one]), keys).unwrap_err().code;
        assert_eq!(code(filter("Name", None, &["x"]), &BY_PATH), ErrorCode::InvalidFilterKey);
        assert_eq!(code(filter("Label", None, &["x"]), &DESCRIBED), ErrorCode::InvalidFilterKey);
        assert_eq!(code(filter("Type", Some("BeginsWith"), &["S"]), &BY_PATH), ErrorCode::InvalidFilterOption);
        assert_eq!(code(filter("Type", None, &[]), &BY_PATH), ErrorCode::InvalidFilterValue);
        assert_eq!(code(filter("Path", None, &["app"]), &DESCRIBED), ErrorCode::Validation);
        let twice = vec![filter("Type", None, &["String"]), filter("Type", None, &["String"])];
        assert_eq!(Filters::parse(Some(twice), &BY_PATH).unwrap_err().code, ErrorCode::InvalidFilterKey);
    }
}
