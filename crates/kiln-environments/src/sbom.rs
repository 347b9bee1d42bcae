//! What is in an image, as SPDX 2.3 in JSON: one document for each environment, made of its lock.

use serde_json::json;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    lock::{Kind, Lock, Package},
    recipes::Environment,
};

/// The document for an environment's own packages; those of the environments below are in theirs. `packages`: all of its
/// layer, `lock`: its usable lock.
#[must_use]
pub fn document(environment: &Environment, lock: &Lock, packages: &[Package]) -> String {
    let image = environment.image();
    let root = "SPDXRef-Image";
    let mut items = vec![json!({
        "SPDXID": root, "name": image, "versionInfo": lock.hash(), "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false, "primaryPackagePurpose": "CONTAINER", "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION", "copyrightText": "NOASSERTION", "supplier": "NOASSERTION",
    })];
    let mut relationships =
        vec![json!({"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": root})];
    for (number, package) in packages.iter().enumerate() {
        let id = format!("SPDXRef-Package-{number}");
        items.push(json!({
            "SPDXID": id, "name": package.name, "versionInfo": package.version, "packageFileName": package.file,
            "downloadLocation": "NOASSERTION", "filesAnalyzed": false, "licenseConcluded": "NOASSERTION",
            "licenseDeclared": "NOASSERTION", "copyrightText": "NOASSERTION", "supplier": "NOASSERTION",
            "checksums": [{"algorithm": "SHA256", "checksumValue": package.sha256}],
            "externalRefs": [{
                "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl(package),
            }],
        }));
        relationships.push(json!({"spdxElementId": root, "relationshipType": "CONTAINS", "relatedSpdxElement": id}));
    }
    let document = json!({
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": image,
        "documentNamespace": format!("urn:kiln:environment:{}:{}", environment.name, lock.hash()),
        "creationInfo": {"created": created(lock), "creators": ["Tool: kiln"]},
        "packages": items, "relationships": relationships,
    });
    format!("{document:#}\n")
}

/// When a lock was made (RFC 3339).
#[must_use]
pub fn created(lock: &Lock) -> String {
    let at = i64::try_from(lock.epoch).ok().and_then(|epoch| OffsetDateTime::from_unix_timestamp(epoch).ok());
    at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_else(|| "1970-01-01T00:00:00Z".to_owned())
}

/// The package's URL, by which scanners know it.
fn purl(package: &Package) -> String {
    // Of what a lock lets stand there, these mean something in a URL.
    let escaped = |text: &str| text.replace('%', "%25").replace('+', "%2B").replace('#', "%23").replace('@', "%40");
    let (name, version) = (escaped(&package.name), escaped(&package.version).replace(':', "%3A"));
    match package.kind {
        Kind::Essential | Kind::Debian => {
            let arch = package.file.trim_end_matches(".deb").rsplit('_').next().unwrap_or("amd64");
            format!("pkg:deb/debian/{name}@{version}?arch={arch}")
        }
        Kind::Wheel | Kind::Pypi => format!("pkg:pypi/{name}@{version}"),
        Kind::Npm => format!("pkg:npm/{name}@{version}"),
        Kind::Vendor => format!("pkg:generic/{name}@{version}?checksum=sha256:{}", package.sha256),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipes::Recipes;

    #[test]
    fn each_package_is_there_with_its_hash_and_its_url() {
        let none = tempfile::tempdir().unwrap();
        let base = Recipes::new(None, none.path().to_owned()).load("base").unwrap();
        let lock = base.usable_lock().unwrap();
        let document: serde_json::Value =
            serde_json::from_str(&super::document(&base, lock, &base.packages().unwrap())).unwrap();
        let packages = document["packages"].as_array().unwrap();
        assert_eq!(packages.len(), lock.packages.len() + 1);
        let git = packages.iter().find(|package| package["name"] == "git").unwrap();
        let locked = lock.packages.iter().find(|package| package.name == "git").unwrap();
        assert_eq!(git["checksums"][0]["checksumValue"], locked.sha256);
        let url = git["externalRefs"][0]["referenceLocator"].as_str().unwrap();
        assert!(url.starts_with("pkg:deb/debian/git@1%3A") && url.ends_with("?arch=amd64"), "{url}");
        let contained = document["relationships"].as_array().unwrap();
        assert_eq!(contained.iter().filter(|r| r["relationshipType"] == "CONTAINS").count(), lock.packages.len());
    }

    #[test]
    fn a_lock_of_the_first_day_was_made_then() {
        assert_eq!(created(&Lock { epoch: 86_400, parent: None, packages: Vec::new() }), "1970-01-02T00:00:00Z");
    }
}
