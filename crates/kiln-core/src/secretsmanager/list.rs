//! Lists of secrets, and pages.

use kiln_model::{
    ApiError, ErrorCode, Timestamp,
    secretsmanager::{
        Filter, FilterNameStringType, ListSecretsRequest, ListSecretsResponse, SecretListEntry, SortByType,
        SortOrderType,
    },
    service::Context,
};
use kiln_store::{StoreError, View, metadata::SecretRecord};
use serde::{Serialize, de::DeserializeOwned};

use super::{document::Document, error, find::arn, tags};
use crate::{
    core::Inner,
    page::{after, token},
    runners::Runners,
};

/// Secrets that are read at once.
const BATCH: usize = 500;

/// Where a page begins.
///
/// # Errors
/// `InvalidNextTokenException` for a token of another list.
pub(super) fn start<T: DeserializeOwned>(list: &str, token: Option<&str>) -> Result<Option<T>, ApiError> {
    after(list, token).map_err(|_| {
        error(ErrorCode::InvalidNextTokenException, "NextToken is not that of a page before of this list.")
    })
}

/// The page from entries with their places, and the token of the page behind it.
pub(super) fn next<P: Serialize, T>(
    list: &str,
    mut entries: Vec<(P, T)>,
    most: Option<i32>,
    usual: usize,
) -> (Vec<T>, Option<String>) {
    let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usual).max(1);
    let has_more = entries.len() > most;
    entries.truncate(most);
    let next = entries.last().filter(|_| has_more).and_then(|(place, _)| token(list, place));
    (entries.into_iter().map(|(_, entry)| entry).collect(), next)
}

/// What filters look at.
struct Seen<'a> {
    record: &'a SecretRecord,
    document: &'a Document,
}

impl Seen<'_> {
    fn fulfils(&self, filter: &Filter) -> Result<bool, ApiError> {
        let (Some(key), Some(values)) = (filter.key, filter.values.as_deref()) else {
            let message = "A filter has a Key and Values.";
            return Err(error(ErrorCode::InvalidParameter, message));
        };
        // What is excluded excludes; of the rest one is enough.
        let (out, wanted): (Vec<&str>, Vec<&str>) =
            values.iter().map(String::as_str).partition(|value| value.starts_with('!'));
        let is_out = out.iter().any(|value| self.has(key, value.trim_start_matches('!')));
        Ok(!is_out && (wanted.is_empty() || wanted.iter().any(|value| self.has(key, value))))
    }

    fn has(&self, key: FilterNameStringType, value: &str) -> bool {
        let description = self.document.description.as_deref().unwrap_or_default();
        let mut names = self.document.tags.keys();
        let mut values = self.document.tags.values();
        match key {
            FilterNameStringType::Name => self.record.name.starts_with(value),
            FilterNameStringType::Description => has_words(description, value),
            FilterNameStringType::TagKey => names.any(|name| name.starts_with(value)),
            FilterNameStringType::TagValue => values.any(|text| text.starts_with(value)),
            // Nothing comes from other regions or services.
            FilterNameStringType::PrimaryRegion | FilterNameStringType::OwningService => false,
            FilterNameStringType::All => value.split([' ', '/', '_', '+', '=', '.', '@', '-']).all(|word| {
                has_words(&self.record.name, word)
                    || has_words(description, word)
                    || names.clone().chain(values.clone()).any(|text| has_words(text, word))
            }),
        }
    }
}

/// Whether a text has words one of which begins so, in whatever letters.
fn has_words(text: &str, value: &str) -> bool {
    let (text, value) = (text.to_lowercase(), value.to_lowercase());
    text.match_indices(&value).any(|(at, _)| {
        text.get(..at).is_some_and(|before| before.chars().next_back().is_none_or(|c| !c.is_alphanumeric()))
    })
}

/// The secrets that fulfil all filters.
pub(super) fn matching(
    view: &View<'_>,
    filters: &[Filter],
    with_deleted: bool,
) -> Result<Result<Vec<(SecretRecord, Document)>, ApiError>, StoreError> {
    let (mut found, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = view.secrets(after.as_deref(), BATCH)?;
        let Some(last) = page.last() else { return Ok(Ok(found)) };
        after = Some(last.name.clone());
        for record in page {
            let document = Document::of(&record)?;
            let seen = Seen { record: &record, document: &document };
            let mut is_wanted = with_deleted || record.delete_ms.is_none();
            for filter in filters {
                match seen.fulfils(filter) {
                    Ok(fulfils) => is_wanted &= fulfils,
                    Err(error) => return Ok(Err(error)),
                }
            }
            if is_wanted {
                found.push((record, document));
            }
        }
    }
}

pub(super) async fn list_secrets<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: ListSecretsRequest,
) -> Result<ListSecretsResponse, ApiError> {
    let (by, order) =
        (input.sort_by.unwrap_or(SortByType::CreatedDate), input.sort_order.unwrap_or(SortOrderType::Asc));
    let with_deleted = input.include_planned_deletion == Some(true);
    let filters = input.filters.unwrap_or_default();
    let list = format!("secrets {by} {order} {with_deleted} {filters:?}");
    let from: Option<(String, String)> = start(&list, input.next_token.as_deref())?;
    let mut found = inner.look(|view| Ok(matching(view, &filters, with_deleted)??))?;
    let place = |(record, document): &(SecretRecord, Document)| {
        let time = match by {
            SortByType::CreatedDate => Some(record.created_ms),
            SortByType::LastAccessedDate => Some(document.accessed_ms.unwrap_or_default()),
            SortByType::LastChangedDate => Some(document.changed_ms),
            SortByType::Name => None,
        };
        // In the order of numbers, written so that texts have it too.
        (time.map(|time| format!("{time:020}")).unwrap_or_default(), record.name.clone())
    };
    found.sort_by_key(place);
    if order == SortOrderType::Desc {
        found.reverse();
    }
    let is_behind = |at: &(String, String)| {
        from.as_ref().is_none_or(|from| if order == SortOrderType::Desc { at < from } else { at > from })
    };
    let entries = found
        .into_iter()
        .map(|secret| (place(&secret), secret))
        .filter(|(at, _)| is_behind(at))
        .map(|(at, (record, document))| {
            let entry = SecretListEntry {
                arn: Some(arn(&inner.config.home, &record.id)),
                name: Some(record.name),
                secret_versions_to_stages: Some(document.by_version()).filter(|versions| !versions.is_empty()),
                tags: Some(tags::list(&document)),
                description: document.description,
                kms_key_id: document.key,
                last_changed_date: Some(Timestamp::from_millis(document.changed_ms)),
                last_accessed_date: document.accessed_ms.map(Timestamp::from_millis),
                deleted_date: document.deleted_ms.map(Timestamp::from_millis),
                created_date: Some(Timestamp::from_millis(record.created_ms)),
            };
            (at, entry)
        })
        .collect();
    let (secrets, next_token) = next(&list, entries, input.max_results, 100);
    Ok(ListSecretsResponse { secret_list: Some(secrets), next_token })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(name: &str, description: &str, tags: &[(&str, &str)]) -> (SecretRecord, Document) {
        let mut document = Document::new(0);
        document.description = Some(description.to_owned());
        document.tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let (id, name) = (format!("{name}-AbCdEf"), name.to_owned());
        (SecretRecord { id, name, created_ms: 0, delete_ms: None, doc: String::new() }, document)
    }

    #[test]
    fn filters_compare_as_aws_says() {
        let (record, document) = secret("prod/Db", "The database of payments", &[("Team", "Blue")]);
        let seen = Seen { record: &record, document: &document };
        let has = |key, values: &[&str]| {
            let values = Some(values.iter().map(|value| (*value).to_owned()).collect());
            seen.fulfils(&Filter { key: Some(key), values }).unwrap()
        };
        use FilterNameStringType::{All, Description, Name, OwningService, TagKey, TagValue};
        assert!(has(Name, &["prod/"]) && !has(Name, &["Prod"]) && !has(Name, &["Db"]));
        assert!(has(Name, &["x", "prod"]) && !has(Name, &["!prod"]) && has(Name, &["!test"]));
        assert!(!has(Name, &["prod", "!prod/D"]));
        assert!(has(Description, &["DATABASE of"]) && !has(Description, &["base"]));
        assert!(has(TagKey, &["Te"]) && !has(TagKey, &["te"]) && has(TagValue, &["Blue"]));
        assert!(has(All, &["blue"]) && has(All, &["payments prod"]) && !has(All, &["payments test"]));
        assert!(!has(OwningService, &["rds"]));
        assert!(seen.fulfils(&Filter { key: Some(Name), values: None }).is_err());
    }
}
