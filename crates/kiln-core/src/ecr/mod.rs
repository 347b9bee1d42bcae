//! The registry of images: Elastic Container Registry's operations, and what the distribution specification asks for.
//!
//! An image is a row; its manifest, configuration and layers are contents: sealed blobs, stored once however many
//! repositories have them. A content is there when an upload is completed, which is when its digest was verified
//! ([`uploads`]); an image when all that it names is ([`images`]). What no image needs any more goes a day after somebody
//! wanted it last ([`upkeep`]), so that a client that was told that a layer is there can push the image that needs it.

mod build;
mod content;
mod distribution;
mod document;
mod error;
mod find;
mod images;
mod layers;
mod lifecycle;
mod list;
mod manifest;
mod policy;
mod repositories;
mod tags;
mod token;
mod upkeep;
mod uploads;

pub use self::content::damaged;
pub(crate) use self::{
    build::{Taken, take},
    find::resource,
    upkeep::sweep,
};

use kiln_model::{
    ApiError,
    ecr::*,
    for_each_ecr_operation,
    service::{Context, Ecr},
};

use crate::{core::Core, runners::Runners};

impl<R: Runners> Core<R> {
    /// Removes uploads that nobody goes on with, bytes that no image needs, and images that lifecycle policies are done
    /// with, as is done by itself every hour; returns how many.
    ///
    /// # Errors
    /// When the records cannot be read or changed.
    pub fn look_after_images(&self) -> Result<usize, kiln_store::StoreError> {
        sweep(&self.inner)
    }
}

macro_rules! implement {
    ($($name:ident $method:ident $input:ident $output:ident,)+) => {
        impl<R: Runners> Ecr for Core<R> {
            $(async fn $method(&self, context: &Context, input: $input) -> Result<$output, ApiError> {
                operations::$method(&self.inner, context, input).await
            })+
        }
    };
}

for_each_ecr_operation!(implement);

/// Where each operation is.
mod operations {
    pub(super) use super::{
        images::{batch_delete_image, batch_get_image, put_image},
        layers::{
            batch_check_layer_availability, complete_layer_upload, get_download_url_for_layer, initiate_layer_upload,
            upload_layer_part,
        },
        lifecycle::{
            delete_lifecycle_policy, get_lifecycle_policy, get_lifecycle_policy_preview, put_lifecycle_policy,
            start_lifecycle_policy_preview,
        },
        list::{describe_images, list_image_referrers, list_images},
        policy::{delete_repository_policy, get_repository_policy, set_repository_policy},
        repositories::{
            create_repository, delete_repository, describe_repositories, put_image_scanning_configuration,
            put_image_tag_mutability,
        },
        tags::{list_tags_for_resource, tag_resource, untag_resource},
        token::get_authorization_token,
    };
}
