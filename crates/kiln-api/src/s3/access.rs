//! What an operation needs permission for: its action, the resource, and what conditions may look at.

use http::HeaderMap;
use kiln_iam::sigv4::query_pairs;
use kiln_model::s3::{S3Error, Tag};
use s3s::path::S3Path;

use super::convert;

/// A permission that a request needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Need<'a> {
    /// E.g. `s3:GetObject`.
    pub(super) action: &'a str,
    /// The bucket; none for what is about the service.
    pub(super) bucket: Option<&'a str>,
    /// The key; none for what is about the bucket.
    pub(super) key: Option<&'a str>,
    /// Condition keys of this permission.
    pub(super) keys: Vec<(&'static str, String)>,
    /// Tags that the request gives the object.
    pub(super) tags: Vec<Tag>,
}

impl<'a> Need<'a> {
    /// Permission for an action on an object.
    pub(super) fn object(action: &'a str, bucket: &'a str, key: &'a str, version_id: Option<&str>) -> Self {
        let keys = version_id.map(|version| vec![("s3:VersionId", version.to_owned())]).unwrap_or_default();
        Self { action, bucket: Some(bucket), key: Some(key), keys, tags: Vec::new() }
    }

    /// Condition keys whose names the request says.
    pub(super) fn tag_keys(&self) -> Vec<(String, String)> {
        let value = |tag: &Tag| (format!("s3:RequestObjectTag/{}", tag.key), tag.value.clone());
        let name = |tag: &Tag| ("s3:RequestObjectTagKeys".to_owned(), tag.key.clone());
        self.tags.iter().flat_map(|tag| [value(tag), name(tag)]).collect()
    }

    /// The resource's ARN.
    pub(super) fn arn(&self) -> Option<String> {
        match (self.bucket, self.key) {
            (Some(bucket), Some(key)) => Some(format!("arn:aws:s3:::{bucket}/{key}")),
            (Some(bucket), None) => Some(format!("arn:aws:s3:::{bucket}")),
            _ => None,
        }
    }

    /// Whether the account's root may do it whatever the bucket's policy says: it could not be mended otherwise.
    pub(super) fn is_management(&self) -> bool {
        matches!(self.action, "s3:GetBucketPolicy" | "s3:PutBucketPolicy" | "s3:DeleteBucketPolicy")
    }
}

/// The permissions that an operation needs before its input is decoded. Those of a copy's source, of each of many
/// objects that are deleted, and of tags that are in the body are asked for by the operation itself.
///
/// # Errors
/// Tags in the head that cannot be read.
pub(super) fn needs<'a>(
    operation: &'a str,
    path: &'a S3Path,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Vec<Need<'a>>, S3Error> {
    if matches!(operation, "DeleteObjects" | "PutObjectTagging") {
        return Ok(Vec::new());
    }
    let query = Query(query_pairs(query));
    let version_id = query.get("versionId");
    let (bucket, key) = (path.get_bucket_name(), path.get_object_key());
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut keys: Vec<(&'static str, String)> = Vec::new();
    for (name, parameter) in [
        ("s3:prefix", "prefix"),
        ("s3:delimiter", "delimiter"),
        ("s3:max-keys", "max-keys"),
        ("s3:VersionId", "versionId"),
    ] {
        keys.extend(query.get(parameter).map(|value| (name, value)));
    }
    for (name, from) in [
        ("s3:x-amz-acl", "x-amz-acl"),
        ("s3:x-amz-copy-source", "x-amz-copy-source"),
        ("s3:x-amz-metadata-directive", "x-amz-metadata-directive"),
        ("s3:x-amz-server-side-encryption", "x-amz-server-side-encryption"),
        ("s3:x-amz-server-side-encryption-aws-kms-key-id", "x-amz-server-side-encryption-aws-kms-key-id"),
        ("s3:x-amz-storage-class", "x-amz-storage-class"),
        ("s3:if-match", "if-match"),
        ("s3:if-none-match", "if-none-match"),
    ] {
        keys.extend(header(from).map(|value| (name, value)));
    }
    let is_tagged = matches!(operation, "PutObject" | "CopyObject" | "CreateMultipartUpload")
        && headers.contains_key(convert::TAGGING);
    let tags = if is_tagged { convert::tags(convert::text(headers, convert::TAGGING)?)? } else { Vec::new() };
    let own = Need { action: action(operation, version_id.is_some()), bucket, key, keys, tags };
    let tagging = is_tagged.then(|| Need { action: "s3:PutObjectTagging", ..own.clone() });
    Ok([own].into_iter().chain(tagging).collect())
}

/// The decoded pairs of a query.
struct Query(Vec<(Vec<u8>, Vec<u8>)>);

impl Query {
    fn get(&self, name: &str) -> Option<String> {
        let pair = self.0.iter().find(|(each, _)| each == name.as_bytes())?;
        Some(String::from_utf8_lossy(&pair.1).into_owned())
    }
}

/// The action of an operation (`x-amz-copy-source` and many deletions aside). Where S3 has no action of that name it is as
/// good as any other that nobody is allowed.
fn action(operation: &str, has_version: bool) -> &'static str {
    match (operation, has_version) {
        ("ListBuckets", _) => "s3:ListAllMyBuckets",
        ("HeadBucket" | "ListObjects" | "ListObjectsV2", _) => "s3:ListBucket",
        ("ListObjectVersions", _) => "s3:ListBucketVersions",
        ("ListMultipartUploads", _) => "s3:ListBucketMultipartUploads",
        ("ListParts", _) => "s3:ListMultipartUploadParts",
        ("AbortMultipartUpload", _) => "s3:AbortMultipartUpload",
        ("GetObject" | "HeadObject", false) => "s3:GetObject",
        ("GetObject" | "HeadObject", true) => "s3:GetObjectVersion",
        ("GetObjectAttributes", false) => "s3:GetObjectAttributes",
        ("GetObjectAttributes", true) => "s3:GetObjectVersionAttributes",
        ("GetObjectAcl", false) => "s3:GetObjectAcl",
        ("GetObjectAcl", true) => "s3:GetObjectVersionAcl",
        ("PutObjectAcl", false) => "s3:PutObjectAcl",
        ("PutObjectAcl", true) => "s3:PutObjectVersionAcl",
        ("GetObjectTagging", false) => "s3:GetObjectTagging",
        ("GetObjectTagging", true) => "s3:GetObjectVersionTagging",
        ("PutObjectTagging", false) => "s3:PutObjectTagging",
        ("PutObjectTagging", true) => "s3:PutObjectVersionTagging",
        ("DeleteObjectTagging", false) => "s3:DeleteObjectTagging",
        ("DeleteObjectTagging", true) => "s3:DeleteObjectVersionTagging",
        ("DeleteObject", false) => "s3:DeleteObject",
        ("DeleteObject", true) => "s3:DeleteObjectVersion",
        (
            "PutObject"
            | "CopyObject"
            | "CreateMultipartUpload"
            | "UploadPart"
            | "UploadPartCopy"
            | "CompleteMultipartUpload",
            _,
        ) => "s3:PutObject",
        ("CreateBucket", _) => "s3:CreateBucket",
        ("DeleteBucket", _) => "s3:DeleteBucket",
        ("GetBucketLocation", _) => "s3:GetBucketLocation",
        ("GetBucketAcl", _) => "s3:GetBucketAcl",
        ("PutBucketAcl", _) => "s3:PutBucketAcl",
        ("GetBucketCors", _) => "s3:GetBucketCORS",
        ("PutBucketCors" | "DeleteBucketCors", _) => "s3:PutBucketCORS",
        ("GetBucketEncryption", _) => "s3:GetEncryptionConfiguration",
        ("PutBucketEncryption" | "DeleteBucketEncryption", _) => "s3:PutEncryptionConfiguration",
        ("GetBucketLifecycleConfiguration", _) => "s3:GetLifecycleConfiguration",
        ("PutBucketLifecycleConfiguration" | "DeleteBucketLifecycle", _) => "s3:PutLifecycleConfiguration",
        ("GetBucketPolicy", _) => "s3:GetBucketPolicy",
        ("GetBucketPolicyStatus", _) => "s3:GetBucketPolicyStatus",
        ("PutBucketPolicy", _) => "s3:PutBucketPolicy",
        ("DeleteBucketPolicy", _) => "s3:DeleteBucketPolicy",
        ("GetPublicAccessBlock", _) => "s3:GetBucketPublicAccessBlock",
        ("PutPublicAccessBlock" | "DeletePublicAccessBlock", _) => "s3:PutBucketPublicAccessBlock",
        ("GetBucketOwnershipControls", _) => "s3:GetBucketOwnershipControls",
        ("PutBucketOwnershipControls" | "DeleteBucketOwnershipControls", _) => "s3:PutBucketOwnershipControls",
        ("GetBucketTagging", _) => "s3:GetBucketTagging",
        ("PutBucketTagging" | "DeleteBucketTagging", _) => "s3:PutBucketTagging",
        ("GetBucketVersioning", _) => "s3:GetBucketVersioning",
        ("PutBucketVersioning", _) => "s3:PutBucketVersioning",
        ("GetBucketAccelerateConfiguration", _) => "s3:GetAccelerateConfiguration",
        ("GetBucketLogging", _) => "s3:GetBucketLogging",
        ("GetBucketNotificationConfiguration", _) => "s3:GetBucketNotification",
        ("GetBucketReplication", _) => "s3:GetReplicationConfiguration",
        ("GetBucketRequestPayment", _) => "s3:GetBucketRequestPayment",
        ("GetBucketWebsite", _) => "s3:GetBucketWebsite",
        ("GetObjectLockConfiguration", _) => "s3:GetBucketObjectLockConfiguration",
        // Operations that are not there: what their answer is, only those learn who may do everything.
        _ => "s3:NotImplemented",
    }
}

#[cfg(test)]
mod tests {
    use kiln_iam::policy::table::table;

    use super::*;

    #[test]
    fn every_operation_has_a_row_in_the_table_of_permissions_and_asks_for_that() {
        for name in crate::s3::call::names() {
            let row = table().operation("s3", name).unwrap_or_else(|| panic!("{name} has no row"));
            let own = row.when(None).unwrap_or_else(|| panic!("{name} needs nothing"));
            if name == "DeleteObjects" {
                continue; // asked for with each of the objects
            }
            // Of two permissions the narrower one is asked for.
            let expected = if name == "GetObjectAttributes" { "s3:GetObjectAttributes" } else { own.action };
            assert_eq!(action(name, false), expected, "{name}");
            if let Some(version) = row.when(Some("version")).filter(|_| name != "GetObjectAttributes") {
                assert_eq!(action(name, true), version.action, "{name} of a version");
            }
        }
    }

    #[test]
    fn versions_and_tags_need_permissions_of_their_own() {
        let path = S3Path::object("b", "a/k");
        let mut headers = HeaderMap::new();
        let actions = |operation: &str, query: Option<&str>, headers: &HeaderMap| -> Vec<String> {
            needs(operation, &path, query, headers).unwrap().iter().map(|need| need.action.to_owned()).collect()
        };
        assert_eq!(actions("GetObject", None, &headers), ["s3:GetObject"]);
        assert_eq!(actions("HeadObject", Some("versionId=3"), &headers), ["s3:GetObjectVersion"]);
        headers.insert("x-amz-tagging", http::HeaderValue::from_static("a=b"));
        assert_eq!(actions("PutObject", None, &headers), ["s3:PutObject", "s3:PutObjectTagging"]);
        assert_eq!(actions("DeleteObjects", None, &headers), Vec::<String>::new());
        headers.insert("x-amz-tagging", http::HeaderValue::from_static("team=a+b&Stage=x%2Fy"));
        for need in needs("PutObject", &path, None, &headers).unwrap() {
            let tags = [
                ("RequestObjectTag/team", "a b"),
                ("RequestObjectTagKeys", "team"),
                ("RequestObjectTag/Stage", "x/y"),
                ("RequestObjectTagKeys", "Stage"),
            ];
            assert_eq!(need.tag_keys(), tags.map(|(name, value)| (format!("s3:{name}"), value.to_owned())));
        }
        assert!(needs("GetObject", &path, None, &headers).unwrap()[0].tags.is_empty());
        headers.insert("x-amz-tagging", http::HeaderValue::from_static("a=%ff"));
        assert!(needs("PutObject", &path, None, &headers).is_err());

        let bucket = S3Path::bucket("b");
        let need = &needs("ListObjectsV2", &bucket, Some("list-type=2&prefix=a%2F"), &headers).unwrap()[0];
        assert_eq!((need.action, need.arn().as_deref()), ("s3:ListBucket", Some("arn:aws:s3:::b")));
        assert!(need.keys.contains(&("s3:prefix", "a/".to_owned())));
    }
}
