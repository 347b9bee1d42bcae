//! Settings of buckets that are lists of rules: lifecycle and CORS.

use kiln_model::{
    s3::{BucketSetting, CorsRule, Expiration, LifecycleRule, NoncurrentExpiration, S3Error, Tag},
    service::Service,
};
use s3s::{S3Response, dto};

use super::{
    buckets::malformed,
    call::Call,
    convert::{tags_in, time_of, timestamp},
};
use crate::{authenticate::Keys, authorise::Authorizer};

type Answered<T> = Result<S3Response<T>, S3Error>;

pub(super) async fn lifecycle<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::GetBucketLifecycleConfigurationInput,
) -> Answered<dto::GetBucketLifecycleConfigurationOutput> {
    let bucket = call.service().bucket(&call.context, &input.bucket).await?;
    let rules = bucket.settings.lifecycle()?.iter().map(rule_out).collect();
    let size = dto::TransitionDefaultMinimumObjectSize::from_static(SMALLEST_TRANSITION);
    Ok(S3Response::new(dto::GetBucketLifecycleConfigurationOutput {
        rules: Some(rules),
        transition_default_minimum_object_size: Some(size),
    }))
}

/// What S3 says of objects that change their storage class. There is one class here.
const SMALLEST_TRANSITION: &str = "all_storage_classes_128K";

pub(super) async fn set_lifecycle<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::PutBucketLifecycleConfigurationInput,
) -> Answered<dto::PutBucketLifecycleConfigurationOutput> {
    let rules = input.lifecycle_configuration.ok_or_else(|| malformed("there is no LifecycleConfiguration"))?.rules;
    let rules = rules.into_iter().map(rule_in).collect::<Result<Vec<_>, _>>()?;
    call.service().set_bucket(&call.context, &input.bucket, BucketSetting::Lifecycle(Some(rules))).await?;
    let size = dto::TransitionDefaultMinimumObjectSize::from_static(SMALLEST_TRANSITION);
    Ok(S3Response::new(dto::PutBucketLifecycleConfigurationOutput {
        transition_default_minimum_object_size: Some(size),
    }))
}

pub(super) async fn delete_lifecycle<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::DeleteBucketLifecycleInput,
) -> Answered<dto::DeleteBucketLifecycleOutput> {
    call.service().set_bucket(&call.context, &input.bucket, BucketSetting::Lifecycle(None)).await?;
    Ok(S3Response::new(dto::DeleteBucketLifecycleOutput::default()))
}

fn rule_in(rule: dto::LifecycleRule) -> Result<LifecycleRule, S3Error> {
    let has_transitions = rule.transitions.is_some_and(|list| !list.is_empty())
        || rule.noncurrent_version_transitions.is_some_and(|list| !list.is_empty());
    if has_transitions {
        return Err(S3Error::not_implemented("A lifecycle rule that moves objects to another storage class"));
    }
    let enabled = match rule.status.as_str() {
        "Enabled" => true,
        "Disabled" => false,
        _ => return Err(malformed("Status of a lifecycle rule is Enabled or Disabled")),
    };
    let mut read = LifecycleRule { id: rule.id.unwrap_or_default(), enabled, ..LifecycleRule::default() };
    match (rule.filter, rule.prefix) {
        (Some(_), Some(_)) => return Err(malformed("a lifecycle rule has Filter or Prefix, not both")),
        (None, None) => return Err(malformed("a lifecycle rule has neither Filter nor Prefix")),
        (None, Some(prefix)) => (read.prefix_in_rule, read.prefix) = (true, Some(prefix)),
        (Some(filter), None) => {
            let tags = filter.tag.map(|tag| vec![tag]).unwrap_or_default();
            let several = filter.and.unwrap_or_default();
            read.prefix = filter.prefix.or(several.prefix);
            read.tags = tags_in(tags.into_iter().chain(several.tags.unwrap_or_default()).collect());
            read.larger_than = filter.object_size_greater_than.or(several.object_size_greater_than);
            read.smaller_than = filter.object_size_less_than.or(several.object_size_less_than);
        }
    }
    if let Some(expiration) = rule.expiration {
        read.expiration = Some(match (expiration.days, expiration.date, expiration.expired_object_delete_marker) {
            (Some(days), None, None | Some(false)) => Expiration::Days(days),
            (None, Some(date), None | Some(false)) => Expiration::Date(time_of(date)),
            (None, None, Some(true)) => Expiration::DeleteMarkers,
            _ => return Err(malformed("Expiration has one of Days, Date and ExpiredObjectDeleteMarker")),
        });
    }
    if let Some(noncurrent) = rule.noncurrent_version_expiration {
        let days = noncurrent.noncurrent_days.ok_or_else(|| malformed("there is no NoncurrentDays"))?;
        read.noncurrent = Some(NoncurrentExpiration { days, keep: noncurrent.newer_noncurrent_versions });
    }
    read.abort_uploads_after_days =
        rule.abort_incomplete_multipart_upload.and_then(|abort| abort.days_after_initiation);
    Ok(read)
}

fn rule_out(rule: &LifecycleRule) -> dto::LifecycleRule {
    let tag = |tag: &Tag| dto::Tag { key: Some(tag.key.clone()), value: Some(tag.value.clone()) };
    let conditions = usize::from(rule.prefix.is_some())
        + rule.tags.len()
        + usize::from(rule.larger_than.is_some())
        + usize::from(rule.smaller_than.is_some());
    let filter = match conditions {
        _ if rule.prefix_in_rule => None,
        0 | 1 => Some(dto::LifecycleRuleFilter {
            and: None,
            object_size_greater_than: rule.larger_than,
            object_size_less_than: rule.smaller_than,
            prefix: rule.prefix.clone(),
            tag: rule.tags.first().map(tag),
        }),
        _ => Some(dto::LifecycleRuleFilter {
            and: Some(dto::LifecycleRuleAndOperator {
                object_size_greater_than: rule.larger_than,
                object_size_less_than: rule.smaller_than,
                prefix: rule.prefix.clone(),
                tags: (!rule.tags.is_empty()).then(|| rule.tags.iter().map(tag).collect()),
            }),
            ..Default::default()
        }),
    };
    let expiration = rule.expiration.map(|expiration| {
        let none = dto::LifecycleExpiration::default();
        match expiration {
            Expiration::Days(days) => dto::LifecycleExpiration { days: Some(days), ..none },
            Expiration::Date(date) => dto::LifecycleExpiration { date: Some(timestamp(&date)), ..none },
            Expiration::DeleteMarkers => dto::LifecycleExpiration { expired_object_delete_marker: Some(true), ..none },
        }
    });
    dto::LifecycleRule {
        abort_incomplete_multipart_upload: rule
            .abort_uploads_after_days
            .map(|days| dto::AbortIncompleteMultipartUpload { days_after_initiation: Some(days) }),
        expiration,
        filter,
        id: Some(rule.id.clone()),
        noncurrent_version_expiration: rule.noncurrent.map(|noncurrent| dto::NoncurrentVersionExpiration {
            newer_noncurrent_versions: noncurrent.keep,
            noncurrent_days: Some(noncurrent.days),
        }),
        noncurrent_version_transitions: None,
        prefix: rule.prefix.clone().filter(|_| rule.prefix_in_rule),
        status: dto::ExpirationStatus::from_static(if rule.enabled { "Enabled" } else { "Disabled" }),
        transitions: None,
    }
}

pub(super) async fn cors<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::GetBucketCorsInput,
) -> Answered<dto::GetBucketCorsOutput> {
    let bucket = call.service().bucket(&call.context, &input.bucket).await?;
    let list = |list: &Vec<String>| (!list.is_empty()).then(|| list.clone());
    let rule = |rule: &CorsRule| dto::CORSRule {
        allowed_headers: list(&rule.allowed_headers),
        allowed_methods: rule.allowed_methods.clone(),
        allowed_origins: rule.allowed_origins.clone(),
        expose_headers: list(&rule.expose_headers),
        id: rule.id.clone(),
        max_age_seconds: rule.max_age_seconds,
    };
    let rules = bucket.settings.cors()?.iter().map(rule).collect();
    Ok(S3Response::new(dto::GetBucketCorsOutput { cors_rules: Some(rules) }))
}

pub(super) async fn set_cors<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::PutBucketCorsInput,
) -> Answered<dto::PutBucketCorsOutput> {
    let rule = |rule: dto::CORSRule| CorsRule {
        id: rule.id,
        allowed_headers: rule.allowed_headers.unwrap_or_default(),
        allowed_methods: rule.allowed_methods,
        allowed_origins: rule.allowed_origins,
        expose_headers: rule.expose_headers.unwrap_or_default(),
        max_age_seconds: rule.max_age_seconds,
    };
    let rules = input.cors_configuration.cors_rules.into_iter().map(rule).collect();
    call.service().set_bucket(&call.context, &input.bucket, BucketSetting::Cors(Some(rules))).await?;
    Ok(S3Response::new(dto::PutBucketCorsOutput::default()))
}

pub(super) async fn delete_cors<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::DeleteBucketCorsInput,
) -> Answered<dto::DeleteBucketCorsOutput> {
    call.service().set_bucket(&call.context, &input.bucket, BucketSetting::Cors(None)).await?;
    Ok(S3Response::new(dto::DeleteBucketCorsOutput::default()))
}
