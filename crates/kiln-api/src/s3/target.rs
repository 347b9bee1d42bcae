//! What a request of S3 is about, before anything decodes it: bucket in the host or in the path, which subresource, and
//! whether its body is an object's bytes.

use http::{HeaderMap, Method};
use kiln_iam::sigv4::query_pairs;
use kiln_model::s3::{S3Code, S3Error};

/// What a path is the path of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The service: a list of buckets.
    Service,
    /// A bucket.
    Bucket,
    /// An object.
    Object,
}

/// A request's path, as if it was path style.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// `/bucket/key`, with its escapes.
    pub(super) path: String,
    /// What that is.
    pub(super) kind: Kind,
}

impl Target {
    /// Of a path as received, and the bucket that its host names.
    pub(super) fn new(path: &str, bucket: Option<&str>) -> Self {
        let path = match bucket {
            Some(bucket) => format!("/{bucket}{path}"),
            None => path.to_owned(),
        };
        let kind = match path.trim_start_matches('/').split_once('/') {
            _ if path == "/" => Kind::Service,
            None | Some((_, "")) => Kind::Bucket,
            Some(_) => Kind::Object,
        };
        Self { path, kind }
    }

    /// Whether the request is one that the decoder knows. It takes a request with a subresource that it does not know
    /// for one without: `PUT /bucket/key?renameObject` would put an object.
    ///
    /// # Errors
    /// `NotImplemented`, `MethodNotAllowed`, `InvalidArgument`.
    pub(super) fn check(&self, method: &Method, query: Option<&str>, headers: &HeaderMap) -> Result<(), S3Error> {
        let names = names_of(query);
        let known = subresources(self.kind, method);
        let mut found = None;
        for name in names.iter().filter(|name| SUBRESOURCES.contains(&name.as_str())) {
            if found.is_some_and(|found| found != name) {
                return Err(S3Error::invalid(
                    "Conflicting query string parameters: it names more than one subresource",
                ));
            }
            found = Some(name);
        }
        if let Some(name) = found
            && !known.contains(&name.as_str())
        {
            return Err(if DECODED.contains(&name.as_str()) {
                let text = "The specified method is not allowed against this resource.";
                S3Error::new(S3Code::MethodNotAllowed, text)
            } else {
                S3Error::not_implemented(&format!("S3's subresource '{name}'"))
            });
        }
        if is_form(headers) && *method == Method::POST {
            return Err(S3Error::not_implemented("S3's upload from a browser's form"));
        }
        let has = |name: &str| names.iter().any(|each| each == name);
        if *method == Method::PUT && has("uploadId") != has("partNumber") {
            return Err(S3Error::invalid("uploadId and partNumber are only of use together"));
        }
        Ok(())
    }

    /// Whether the body is that of an object or of a part, and not XML.
    pub(super) fn takes_bytes(&self, method: &Method, query: Option<&str>, headers: &HeaderMap) -> bool {
        self.kind == Kind::Object
            && *method == Method::PUT
            && !headers.contains_key("x-amz-copy-source")
            && !names_of(query).iter().any(|name| SUBRESOURCES.contains(&name.as_str()))
    }
}

/// The decoded names of a query. What cannot be decoded is none of ours.
fn names_of(query: Option<&str>) -> Vec<String> {
    query_pairs(query).into_iter().map(|(name, _)| String::from_utf8_lossy(&name).into_owned()).collect()
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(http::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("multipart/form-data"))
}

/// All subresources of S3.
const SUBRESOURCES: [&str; 40] = [
    "abac",
    "accelerate",
    "acl",
    "analytics",
    "annotation",
    "attributes",
    "cors",
    "delete",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "lifecycle",
    "location",
    "logging",
    "metadataConfiguration",
    "metadataInventoryTable",
    "metadataJournalTable",
    "metadataTable",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "renameObject",
    "replication",
    "requestPayment",
    "restore",
    "resourcePolicy",
    "retention",
    "select",
    "session",
    "tagging",
    "torrent",
    "uploads",
    "versioning",
    "versions",
    "website",
];

/// Those that the decoder knows, whatever the method.
const DECODED: [&str; 32] = [
    "accelerate",
    "acl",
    "analytics",
    "attributes",
    "cors",
    "delete",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "lifecycle",
    "location",
    "logging",
    "metadataTable",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "replication",
    "requestPayment",
    "restore",
    "retention",
    "select",
    "session",
    "tagging",
    "torrent",
    "uploads",
    "versioning",
    "website",
];

/// Those that the decoder knows for that method.
fn subresources(kind: Kind, method: &Method) -> &'static [&'static str] {
    const READ_BUCKET: &[&str] = &[
        "accelerate",
        "acl",
        "analytics",
        "cors",
        "encryption",
        "intelligent-tiering",
        "inventory",
        "lifecycle",
        "location",
        "logging",
        "metadataTable",
        "metrics",
        "notification",
        "object-lock",
        "ownershipControls",
        "policy",
        "policyStatus",
        "publicAccessBlock",
        "replication",
        "requestPayment",
        "session",
        "tagging",
        "uploads",
        "versioning",
        "versions",
        "website",
    ];
    const WRITE_BUCKET: &[&str] = &[
        "accelerate",
        "acl",
        "analytics",
        "cors",
        "encryption",
        "intelligent-tiering",
        "inventory",
        "lifecycle",
        "logging",
        "metrics",
        "notification",
        "object-lock",
        "ownershipControls",
        "policy",
        "publicAccessBlock",
        "replication",
        "requestPayment",
        "tagging",
        "versioning",
        "website",
    ];
    const DELETE_BUCKET: &[&str] = &[
        "analytics",
        "cors",
        "encryption",
        "intelligent-tiering",
        "inventory",
        "lifecycle",
        "metadataTable",
        "metrics",
        "ownershipControls",
        "policy",
        "publicAccessBlock",
        "replication",
        "tagging",
        "website",
    ];
    const READ_OBJECT: &[&str] = &["acl", "attributes", "legal-hold", "retention", "tagging", "torrent"];
    match (kind, method.as_str()) {
        (Kind::Bucket, "GET") => READ_BUCKET,
        (Kind::Bucket, "PUT") => WRITE_BUCKET,
        (Kind::Bucket, "DELETE") => DELETE_BUCKET,
        (Kind::Bucket, "POST") => &["delete", "metadataTable"],
        (Kind::Object, "GET") => READ_OBJECT,
        (Kind::Object, "PUT") => &["acl", "legal-hold", "retention", "tagging"],
        (Kind::Object, "DELETE") => &["tagging"],
        (Kind::Object, "POST") => &["restore", "select", "uploads"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(path: &str) -> Target {
        Target::new(path, None)
    }

    #[test]
    fn buckets_are_in_the_path_or_in_the_host() {
        for (path, bucket, expected, kind) in [
            ("/", None, "/", Kind::Service),
            ("/b", None, "/b", Kind::Bucket),
            ("/b/", None, "/b/", Kind::Bucket),
            ("/b//", None, "/b//", Kind::Object),
            ("/b/a%2F/../c", None, "/b/a%2F/../c", Kind::Object),
            ("/", Some("b"), "/b/", Kind::Bucket),
            ("/a", Some("b"), "/b/a", Kind::Object),
            ("//a", Some("b"), "/b//a", Kind::Object),
            ("/-/health", Some("b"), "/b/-/health", Kind::Object),
        ] {
            assert_eq!(Target::new(path, bucket), Target { path: expected.to_owned(), kind }, "{path} {bucket:?}");
        }
    }

    #[test]
    fn what_the_decoder_would_take_for_something_else_is_refused() {
        let none = HeaderMap::new();
        let check = |method: Method, path: &str, query: &str| {
            target(path).check(&method, Some(query), &none).map_err(|error| error.code)
        };
        assert_eq!(check(Method::PUT, "/b/k", "renameObject"), Err(S3Code::NotImplemented));
        assert_eq!(check(Method::PUT, "/b/k", "%72enameObject="), Err(S3Code::NotImplemented));
        assert_eq!(check(Method::PUT, "/b", "abac"), Err(S3Code::NotImplemented));
        assert_eq!(check(Method::GET, "/b", "metadataConfiguration"), Err(S3Code::NotImplemented));
        assert_eq!(check(Method::PUT, "/b/k", "policy"), Err(S3Code::MethodNotAllowed));
        assert_eq!(check(Method::PUT, "/b/k", "encryption"), Err(S3Code::MethodNotAllowed));
        assert_eq!(check(Method::DELETE, "/b", "acl"), Err(S3Code::MethodNotAllowed));
        assert_eq!(check(Method::GET, "/b", "acl&policy"), Err(S3Code::InvalidArgument));
        assert_eq!(check(Method::PUT, "/b/k", "uploadId=x"), Err(S3Code::InvalidArgument));
        assert_eq!(check(Method::PUT, "/b/k", "partNumber=1"), Err(S3Code::InvalidArgument));
        for (method, path, query) in [
            (Method::GET, "/", "x-id=ListBuckets"),
            (Method::GET, "/b", "list-type=2&prefix=policy"),
            (Method::GET, "/b", "versions&encoding-type=url"),
            (Method::PUT, "/b/k", "uploadId=x&partNumber=1&x-id=UploadPart"),
            (Method::POST, "/b/k", "uploads"),
            (Method::POST, "/b/k", "uploadId=x"),
            (Method::GET, "/b/k", "versionId=x&response-content-type=y&nonsense"),
            (Method::HEAD, "/b/k", "partNumber=1"),
        ] {
            assert_eq!(check(method, path, query), Ok(()), "{path} {query}");
        }
    }

    #[test]
    fn objects_and_parts_have_bytes() {
        let none = HeaderMap::new();
        let takes = |method, path: &str, query| target(path).takes_bytes(&method, query, &none);
        assert!(takes(Method::PUT, "/b/k", None));
        assert!(takes(Method::PUT, "/b/k", Some("partNumber=1&uploadId=x")));
        for (method, path, query) in [
            (Method::PUT, "/b", None),
            (Method::PUT, "/b/k", Some("tagging")),
            (Method::POST, "/b/k", Some("uploadId=x")),
            (Method::GET, "/b/k", None),
        ] {
            assert!(!takes(method, path, query));
        }
        let mut copy = HeaderMap::new();
        copy.insert("x-amz-copy-source", http::HeaderValue::from_static("/b/k"));
        assert!(!target("/b/k").takes_bytes(&Method::PUT, None, &copy));
    }
}
