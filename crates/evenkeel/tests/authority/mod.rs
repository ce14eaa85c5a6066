//! An authority of a test's own, and HTTPS servers with certificates of it.

use crate::servers::{Scratch, Server};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::sync::Arc;

/// Signs certificates of servers.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// Its own certificate, as a file.
    pub(crate) ca: std::path::PathBuf,
    _files: Scratch,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let files = Scratch::new(name);
        let ca = files.0.join("ca.pem");
        std::fs::write(&ca, issuer.pem()).unwrap();
        Authority { issuer, ca, _files: files }
    }

    /// An HTTPS server whose certificate is for this name and ends with this year.
    pub(crate) fn server(&self, name: &str, until: i32) -> Server {
        let mut params = CertificateParams::new(vec![name.to_string()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config =
            builder.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();
        let config = Arc::new(config);
        Server::doing(move |stream| {
            let session = ServerConnection::new(config.clone()).unwrap();
            let mut stream = StreamOwned::new(session, stream);
            if stream.read(&mut [0; 1024]).is_ok_and(|count| count > 0) {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK");
                stream.conn.send_close_notify();
                let _ = stream.flush();
                // Whoever closes over unread data resets.
                let _ = stream.sock.read(&mut [0; 64]);
            }
        })
    }
}
