//! TLS and plain HTTP on one port.

use std::sync::Arc;

use kiln_api::Tls;
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::{
    client::{Connection, Message},
    world::World,
};

#[tokio::test]
async fn one_port_speaks_both() {
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (pem, key) = (certificate.cert.pem(), certificate.signing_key.serialize_pem());
    let world = World::with(|config| config.tls = Some(Tls::from_pem(pem.as_bytes(), key.as_bytes()).unwrap())).await;

    let mut roots = RootCertStore::empty();
    roots.add(certificate.cert.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(world.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    let mut encrypted = Connection::over(stream);
    for _ in 0..2 {
        encrypted.send(&Message::call("ListProjects", "{}").signed().bytes()).await;
        assert_eq!(encrypted.reply().await.unwrap().status, 200);
    }
    world.is_well().await;
}

#[tokio::test]
async fn tls_without_a_certificate_is_closed() {
    let world = World::start().await;
    let mut connection = world.connect().await;
    connection.send(b"\x16\x03\x01\x02\x00\x01\x00").await;
    connection.closed().await;
    world.is_well().await;
}

#[test]
fn certificates_that_cannot_be_used() {
    let [one, other] = [(), ()].map(|()| rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap());
    let key = other.signing_key.serialize_pem();
    let error =
        |certificate: &str, key: &str| Tls::from_pem(certificate.as_bytes(), key.as_bytes()).err().unwrap().to_string();
    assert!(error("", &key).contains("BEGIN CERTIFICATE"));
    assert!(error(&one.cert.pem(), "").contains("BEGIN PRIVATE KEY"));
    assert!(error(&one.cert.pem(), &key).contains("cannot use the certificate with this key"));
}
