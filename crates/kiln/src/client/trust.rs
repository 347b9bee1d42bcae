//! Whose certificates a client trusts.

use std::{fs, path::Path, sync::Arc};

use anyhow::Context as _;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use crate::{app::App, tls};

/// The machine's own list, as Debian, Red Hat and Alpine keep it.
const SYSTEM: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// The file of the certificates that this machine trusts, if there is one.
pub(crate) fn of_machine() -> Option<&'static Path> {
    SYSTEM.iter().map(Path::new).find(|path| path.exists())
}

/// Trusts `AWS_CA_BUNDLE`, or what the machine trusts; in any case the authority of `kiln tls init`.
pub(super) fn connector(app: &App) -> anyhow::Result<tokio_rustls::TlsConnector> {
    let mut roots = RootCertStore::empty();
    match &app.environment.aws.ca_bundle {
        Some(path) => add(&mut roots, path)?,
        None => {
            if let Some(path) = of_machine() {
                add(&mut roots, path)?;
            }
        }
    }
    let own = tls::ca_path(&app.data);
    if own.exists() {
        add(&mut roots, &own)?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config).into())
}

fn add(roots: &mut RootCertStore, path: &Path) -> anyhow::Result<()> {
    let pem = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.with_context(|| format!("{} is no PEM file of certificates", path.display()))?;
        // Old authorities of a machine's list may be of a kind that is no longer supported.
        roots.add(certificate).ok();
    }
    Ok(())
}
