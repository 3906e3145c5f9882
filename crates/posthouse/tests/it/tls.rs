//! Certificates: made at first start, one's own, exchanged without a restart, fetched by ACME.

mod acme;
mod files;
mod nodes;

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};

use crate::harness::PATIENCE;
use crate::harness::tls::trusting_client;

/// The certificate that a listener with TLS from the first byte shows.
fn shown_by(address: SocketAddr) -> CertificateDer<'static> {
    shown_as("mail.example.com", address)
}

/// The same for whoever asks by this name.
fn shown_as(name: &'static str, address: SocketAddr) -> CertificateDer<'static> {
    let name = ServerName::try_from(name).unwrap();
    let mut client = rustls::ClientConnection::new(Arc::clone(&trusting_client()), name).unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    while client.is_handshaking() {
        client.complete_io(&mut stream).unwrap();
    }
    client.peer_certificates().unwrap()[0].clone().into_owned()
}

/// The first certificate of a PEM file.
fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}
