//! Which settings a bucket may have.

use std::collections::BTreeSet;

use kiln_model::s3::{BUCKET_TAGS, BucketSetting, CorsRule, Expiration, LifecycleRule, S3Code, S3Error, check_tags};
use uuid::Uuid;

/// Longest policy, bytes.
const MAX_POLICY_BYTES: usize = 20 << 10;
/// Most rules of a kind.
const MAX_LIFECYCLE_RULES: usize = 1000;
const MAX_CORS_RULES: usize = 100;
/// Texts of one CORS rule, and their length.
const MAX_CORS_TEXTS: usize = 100;
const MAX_TEXT: usize = 1024;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Checks a setting; what the client may leave out is filled in.
/// `usable` is asked whether there is a KMS key.
pub(super) fn check(
    mut setting: BucketSetting,
    usable: impl Fn(&str) -> Result<(), S3Error>,
) -> Result<BucketSetting, S3Error> {
    match &mut setting {
        BucketSetting::Versioning(_) | BucketSetting::PublicAccessBlock(_) | BucketSetting::Ownership(_) => {}
        BucketSetting::Encryption(encryption) => {
            if let Some(encryption) = encryption {
                match &encryption.key {
                    Some(key) if encryption.kms => usable(key)?,
                    Some(_) => return Err(S3Error::invalid("a KMS key is only for the algorithm aws:kms")),
                    None => {}
                }
            }
        }
        BucketSetting::Lifecycle(rules) => {
            if let Some(rules) = rules {
                check_lifecycle(rules)?;
            }
        }
        BucketSetting::Tags(tags) => check_tags(tags.as_deref().unwrap_or_default(), BUCKET_TAGS)?,
        BucketSetting::Policy(policy) => {
            if let Some(policy) = policy {
                check_policy(policy)?;
            }
        }
        BucketSetting::Cors(rules) => check_cors(rules.as_deref())?,
    }
    Ok(setting)
}

fn malformed(text: impl Into<String>) -> S3Error {
    S3Error::new(S3Code::MalformedXml, text)
}

fn check_lifecycle(rules: &mut [LifecycleRule]) -> Result<(), S3Error> {
    if rules.is_empty() || rules.len() > MAX_LIFECYCLE_RULES {
        return Err(malformed(format!("A lifecycle configuration has 1 to {MAX_LIFECYCLE_RULES} rules")));
    }
    let mut ids = BTreeSet::new();
    for rule in rules {
        if rule.id.is_empty() {
            rule.id = Uuid::new_v4().to_string();
        }
        if rule.id.chars().count() > 255 {
            return Err(S3Error::invalid("ID length should not exceed allowed limit of 255"));
        }
        if !ids.insert(rule.id.clone()) {
            return Err(S3Error::invalid("Rule ID must be unique. Found same ID for more than one rule"));
        }
        check_rule(rule)?;
    }
    Ok(())
}

fn check_rule(rule: &LifecycleRule) -> Result<(), S3Error> {
    let positive = |days: i32, what: &str| {
        if days > 0 { Ok(()) } else { Err(S3Error::invalid(format!("'{what}' must be a positive integer"))) }
    };
    if rule.expiration.is_none() && rule.noncurrent.is_none() && rule.abort_uploads_after_days.is_none() {
        return Err(S3Error::bad_request("At least one action needs to be specified in a rule"));
    }
    if rule.prefix.as_deref().unwrap_or_default().len() > kiln_model::s3::MAX_KEY_BYTES {
        return Err(S3Error::bad_request("The maximum size of a prefix is 1024"));
    }
    check_tags(&rule.tags, BUCKET_TAGS)?;
    match rule.expiration {
        Some(Expiration::Days(days)) => positive(days, "Days' for Expiration action")?,
        Some(Expiration::Date(date)) if date.millis().rem_euclid(DAY_MS) != 0 => {
            return Err(S3Error::invalid("'Date' must be at midnight GMT"));
        }
        Some(Expiration::DeleteMarkers) if !rule.tags.is_empty() => {
            return Err(S3Error::bad_request("Tags cannot be specified with ExpiredObjectDeleteMarker"));
        }
        Some(Expiration::Date(_) | Expiration::DeleteMarkers) | None => {}
    }
    if let Some(noncurrent) = rule.noncurrent {
        positive(noncurrent.days, "NoncurrentDays")?;
        if noncurrent.keep.is_some_and(|keep| !(1..=100).contains(&keep)) {
            return Err(S3Error::invalid("'NewerNoncurrentVersions' must be 1 to 100"));
        }
    }
    if let Some(days) = rule.abort_uploads_after_days {
        positive(days, "DaysAfterInitiation")?;
        if !rule.tags.is_empty() || rule.larger_than.is_some() || rule.smaller_than.is_some() {
            let text = "AbortIncompleteMultipartUpload cannot be specified with Tags or object sizes";
            return Err(S3Error::bad_request(text));
        }
    }
    if rule.larger_than.is_some_and(|size| size < 0)
        || rule.smaller_than.is_some_and(|size| size <= rule.larger_than.unwrap_or(0))
    {
        return Err(S3Error::bad_request("'ObjectSizeLessThan' must be larger than 'ObjectSizeGreaterThan'"));
    }
    Ok(())
}

fn check_policy(policy: &str) -> Result<(), S3Error> {
    let malformed = |text: String| Err(S3Error::new(S3Code::MalformedPolicy, text));
    if policy.len() > MAX_POLICY_BYTES {
        return malformed(format!("Policies are limited to {MAX_POLICY_BYTES} bytes; this one has {}", policy.len()));
    }
    match serde_json::from_str::<serde_json::Value>(policy) {
        Ok(json) if json.get("Statement").is_some() => Ok(()),
        Ok(_) => malformed("Missing required field Statement".to_owned()),
        Err(e) => malformed(format!("Policies must be valid JSON: {e}")),
    }
}

fn check_cors(rules: Option<&[CorsRule]>) -> Result<(), S3Error> {
    let Some(rules) = rules else { return Ok(()) };
    if rules.is_empty() || rules.len() > MAX_CORS_RULES {
        return Err(malformed(format!("A CORS configuration has 1 to {MAX_CORS_RULES} rules")));
    }
    for rule in rules {
        let lists = [&rule.allowed_headers, &rule.allowed_methods, &rule.allowed_origins, &rule.expose_headers];
        if lists.iter().any(|list| list.len() > MAX_CORS_TEXTS || list.iter().any(|text| text.len() > MAX_TEXT)) {
            return Err(malformed(format!(
                "A CORS rule has lists of at most {MAX_CORS_TEXTS} texts of {MAX_TEXT} bytes"
            )));
        }
        if rule.allowed_methods.is_empty() || rule.allowed_origins.is_empty() {
            return Err(malformed("A CORS rule has at least one AllowedMethod and one AllowedOrigin"));
        }
        if let Some(bad) =
            rule.allowed_methods.iter().find(|m| !["GET", "PUT", "POST", "DELETE", "HEAD"].contains(&m.as_str()))
        {
            let shown: String = bad.chars().filter(|c| !c.is_control()).take(40).collect();
            let text = format!("Found unsupported HTTP method in CORS config. Unsupported method is {shown}");
            return Err(S3Error::bad_request(text));
        }
        let wild = |text: &String| text.matches('*').count() > 1;
        if let Some(bad) = rule.allowed_origins.iter().chain(&rule.allowed_headers).find(|text| wild(text)) {
            let shown: String = bad.chars().filter(|c| !c.is_control()).take(200).collect();
            return Err(S3Error::bad_request(format!("'{shown}' can not have more than one wildcard.")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use kiln_model::{Timestamp, s3::NoncurrentExpiration};

    use super::*;

    fn refused(setting: BucketSetting) -> S3Code {
        check(setting, |_| Ok(())).unwrap_err().code
    }

    #[test]
    fn lifecycle_rules_say_what_goes_when() {
        let rule = LifecycleRule { expiration: Some(Expiration::Days(1)), ..LifecycleRule::default() };
        let BucketSetting::Lifecycle(Some(rules)) =
            check(BucketSetting::Lifecycle(Some(vec![rule.clone(), rule.clone()])), |_| Ok(())).unwrap()
        else {
            panic!("another setting")
        };
        assert!(!rules[0].id.is_empty() && rules[0].id != rules[1].id);
        let one = |rule: LifecycleRule| refused(BucketSetting::Lifecycle(Some(vec![rule])));
        assert_eq!(one(LifecycleRule::default()), S3Code::InvalidRequest);
        assert_eq!(
            one(LifecycleRule { expiration: Some(Expiration::Days(0)), ..rule.clone() }),
            S3Code::InvalidArgument
        );
        let date = Some(Expiration::Date(Timestamp::from_millis(5)));
        assert_eq!(one(LifecycleRule { expiration: date, ..rule.clone() }), S3Code::InvalidArgument);
        let noncurrent = Some(NoncurrentExpiration { days: 1, keep: Some(101) });
        assert_eq!(one(LifecycleRule { noncurrent, ..rule.clone() }), S3Code::InvalidArgument);
        assert_eq!(
            one(LifecycleRule { abort_uploads_after_days: Some(1), larger_than: Some(1), ..rule.clone() }),
            S3Code::InvalidRequest
        );
        let twice = LifecycleRule { id: "a".to_owned(), ..rule };
        assert_eq!(refused(BucketSetting::Lifecycle(Some(vec![twice.clone(), twice]))), S3Code::InvalidArgument);
        assert_eq!(refused(BucketSetting::Lifecycle(Some(vec![]))), S3Code::MalformedXml);
    }

    #[test]
    fn policies_are_documents_and_origins_have_one_wildcard() {
        for bad in ["", "[", "{}", &format!("{{\"Statement\":[],\"x\":\"{}\"}}", "x".repeat(MAX_POLICY_BYTES))] {
            assert_eq!(refused(BucketSetting::Policy(Some(bad.to_owned()))), S3Code::MalformedPolicy);
        }
        let rule = |origin: &str, method: &str| CorsRule {
            allowed_origins: vec![origin.to_owned()],
            allowed_methods: vec![method.to_owned()],
            ..CorsRule::default()
        };
        assert_eq!(refused(BucketSetting::Cors(Some(vec![rule("*a*", "GET")]))), S3Code::InvalidRequest);
        assert_eq!(refused(BucketSetting::Cors(Some(vec![rule("*", "PATCH")]))), S3Code::InvalidRequest);
    }
}
