//! TLS on the port that also takes plain HTTP: the first byte of a connection tells which it is.

use std::{io, sync::Arc};

use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsAcceptor;

use super::stream::Carrier;
use crate::config::Config;

/// First byte of every TLS connection: a record of type handshake. No HTTP method begins with it.
const HANDSHAKE: u8 = 0x16;

/// A certificate with its key.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

/// Why a certificate or a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The PEM text has no certificate.
    #[error("there is no certificate in the PEM text (expected '-----BEGIN CERTIFICATE-----')")]
    NoCertificate,
    /// The PEM text of the certificates is broken.
    #[error("cannot read the certificate: {0}")]
    Certificate(rustls::pki_types::pem::Error),
    /// The PEM text has no private key, or is broken.
    #[error("cannot read the private key (expected '-----BEGIN PRIVATE KEY-----'): {0}")]
    Key(rustls::pki_types::pem::Error),
    /// They do not fit together, or are of a kind that is not supported.
    #[error("cannot use the certificate with this key: {0}")]
    Mismatch(#[from] rustls::Error),
}

impl Tls {
    /// Takes a certificate, with those of its issuers behind it, and its private key, all as PEM.
    ///
    /// # Errors
    /// Text that is not PEM, or a key of another certificate.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain = CertificateDer::pem_slice_iter(certificates)
            .collect::<Result<Vec<_>, _>>()
            .map_err(TlsError::Certificate)?;
        if chain.is_empty() {
            return Err(TlsError::NoCertificate);
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(TlsError::Key)?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }
}

/// Looks at the first byte of a connection, and shakes hands when it begins TLS.
pub(crate) async fn accept(stream: TcpStream, config: &Config) -> io::Result<Carrier> {
    let mut first = [0];
    // A client that connects ahead of its first request idles here.
    let peeked = timeout(config.limits.idle, stream.peek(&mut first)).await??;
    if peeked == 0 || first != [HANDSHAKE] {
        return Ok(Carrier::Tcp(stream));
    }
    let Some(Tls(acceptor)) = &config.tls else {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "a client began TLS, and no certificate is configured"));
    };
    let stream = timeout(config.limits.head, acceptor.accept(stream)).await??;
    Ok(Carrier::Tls(Box::new(stream)))
}
