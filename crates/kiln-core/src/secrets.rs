//! Parameters and secrets that builds name, read on behalf of their roles (`buildspec.md` 1.6).

use std::sync::Arc;

use kiln_model::build_secret::{BuildSecret, BuildSecretAnswer};

use crate::{core::Inner, document::Document, runners::Runners};

/// One answer for each that is wanted, in order.
#[expect(clippy::unused_async, reason = "the stores are read in transactions")]
pub(crate) async fn of_build<R: Runners>(
    _: &Arc<Inner<R>>,
    document: &Document,
    wanted: Vec<BuildSecret>,
) -> Vec<BuildSecretAnswer> {
    let refused = |what: &str, name: &str| BuildSecretAnswer::Refused {
        code: "ServiceUnavailableException".to_owned(),
        message: format!("this service has no store of {what} yet, which build {} names {name} of", document.build.id),
    };
    wanted
        .iter()
        .map(|secret| match secret {
            BuildSecret::Parameter { name } => refused("parameters", name),
            BuildSecret::Secret { id, .. } => refused("secrets", id),
        })
        .collect()
}
