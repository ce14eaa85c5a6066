//! TLS over real loopback sockets: what is verified, and that each way to fail is named.

#![allow(clippy::unwrap_used, reason = "a test that cannot have its server fails")]

mod servers;

use evenkeel_check::engine::{Spec, Stream, Tls, Transport};
use evenkeel_check::once::{Conversation, probe_once};
use evenkeel_core::Span;
use evenkeel_core::config::{Address, Timing};
use evenkeel_core::evidence::{Kind, Layer};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use servers::{Ask, Scratch, Server};
use std::io::{Read, Write};
use std::sync::Arc;

struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    files: Scratch,
}

impl Authority {
    fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let files = Scratch::new(name);
        std::fs::write(files.0.join("ca.pem"), issuer.pem()).unwrap();
        Authority { issuer, files }
    }

    /// A server with a certificate for these names that ended in this year.
    fn server(&self, names: &[&str], until: i32, client: bool) -> Server {
        let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone());
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = if client {
            let mut roots = RootCertStore::empty();
            roots.add(self.issuer.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let config = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        let config = Arc::new(config);
        Server::doing(move |stream| {
            let session = ServerConnection::new(config.clone()).unwrap();
            let mut stream = StreamOwned::new(session, stream);
            if stream.read(&mut [0; 64]).is_ok_and(|count| count > 0) {
                let _ = stream.write_all(b"OK\n");
                stream.conn.send_close_notify();
                let _ = stream.flush();
                // Whoever closes over unread data resets.
                let _ = stream.sock.read(&mut [0; 64]);
            }
        })
    }

    fn words(&self, name: Option<&str>) -> Tls {
        let authorities = Some(self.files.0.join("ca.pem"));
        Tls { name: name.map(Into::into), verify: true, authorities, client: None }
    }
}

fn ask(words: Tls, address: &Address) -> Conversation {
    let transport = Transport::Stream(Stream { tls: Some(Arc::new(words)), ..Stream::default() });
    let spec = Arc::new(Spec { kind: "ask", transport, dialogue: Arc::new(Ask) });
    // Keys are made and signed by a build that may not be optimized.
    let timing = Timing { timeout: Span::from_secs(5), ..Timing::default() };
    probe_once(&spec, address, &timing)
}

fn fails(words: Tls, address: &Address) -> String {
    let conversation = ask(words, address);
    let reason = conversation.evidence.verdict.reason().expect("it failed");
    assert_eq!((reason.layer, reason.kind), (Layer::L6, Kind::Soft), "{reason}");
    assert!(conversation.sent().is_empty(), "nothing was said to a server that could not be trusted");
    reason.to_string()
}

#[test]
fn a_good_certificate_by_name_and_by_address() {
    let authority = Authority::new("tls-good");
    let server = authority.server(&["web.test", "127.0.0.1"], 2100, false);
    for name in [Some("web.test"), None] {
        let conversation = ask(authority.words(name), &server.address());
        assert!(conversation.evidence.verdict.passed(), "{:?}", conversation.evidence);
        assert_eq!(
            (conversation.sent(), conversation.heard()),
            (b"how are you?\n".to_vec(), b"OK\n".to_vec())
        );
        assert!(conversation.evidence.phases.tls.is_some_and(|span| span > Span::ZERO));
    }
}

#[test]
fn another_name() {
    let authority = Authority::new("tls-name");
    let server = authority.server(&["web.test", "www.web.test"], 2100, false);
    let reason = fails(authority.words(Some("shop.test")), &server.address());
    assert_eq!(reason, "L6 certificate is not for shop.test but for web.test, www.web.test");
}

#[test]
fn expired() {
    let authority = Authority::new("tls-expired");
    let server = authority.server(&["web.test"], 2022, false);
    let reason = fails(authority.words(Some("web.test")), &server.address());
    assert!(reason.starts_with("L6 certificate expired ") && reason.ends_with(" ago"), "{reason}");
}

#[test]
fn an_unknown_authority_unless_nobody_asks() {
    let (one, other) = (Authority::new("tls-one"), Authority::new("tls-other"));
    let server = one.server(&["web.test"], 2100, false);
    let reason = fails(other.words(Some("web.test")), &server.address());
    assert_eq!(reason, "L6 certificate of an unknown authority");
    let reason = fails(Tls { authorities: None, ..one.words(Some("web.test")) }, &server.address());
    assert_eq!(reason, "L6 certificate of an unknown authority");
    let server = one.server(&["web.test"], 2022, false);
    let trusting = Tls { verify: false, ..other.words(None) };
    assert!(ask(trusting, &server.address()).evidence.verdict.passed());
}

#[test]
fn a_client_certificate() {
    let authority = Authority::new("tls-client");
    let server = authority.server(&["web.test"], 2100, true);
    let reason = fails_late(authority.words(Some("web.test")), &server.address());
    assert!(reason.starts_with("L6 refused by the server: alert CertificateRequired"), "{reason}");
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["checker.test".into()]).unwrap();
    let certificate = params.signed_by(&key, &authority.issuer).unwrap();
    let (chain, key_file) = (authority.files.0.join("client.pem"), authority.files.0.join("client.key"));
    std::fs::write(&chain, certificate.pem()).unwrap();
    std::fs::write(&key_file, key.serialize_pem()).unwrap();
    let words = Tls { client: Some((chain, key_file)), ..authority.words(Some("web.test")) };
    let conversation = ask(words, &server.address());
    assert!(conversation.evidence.verdict.passed(), "{:?}", conversation.evidence);
}

/// TLS 1.3 lets a client speak before the server has seen its certificate.
fn fails_late(words: Tls, address: &Address) -> String {
    ask(words, address).evidence.verdict.reason().expect("it failed").to_string()
}

#[test]
fn no_tls_at_all() {
    let authority = Authority::new("tls-none");
    let server = Server::answering(b"220 hello, this is no TLS\r\n");
    assert_eq!(fails(authority.words(Some("web.test")), &server.address()), "L6 it does not speak TLS");
    let server = Server::doing(drop);
    let reason = fails(authority.words(Some("web.test")), &server.address());
    assert!(reason.ends_with(" during the TLS handshake"), "{reason}");
    let server = Server::doing(|_held| std::thread::sleep(std::time::Duration::from_secs(6)));
    let transport = Transport::Stream(Stream {
        tls: Some(Arc::new(authority.words(Some("web.test")))),
        ..Stream::default()
    });
    let spec = Arc::new(Spec { kind: "ask", transport, dialogue: Arc::new(Ask) });
    let timing = Timing { timeout: Span::from_millis(300), ..Timing::default() };
    let evidence = probe_once(&spec, &server.address(), &timing).evidence;
    let reason = evidence.verdict.reason().expect("it failed");
    assert_eq!(reason.to_string(), "L6 TLS handshake not finished within 300ms");
}

#[test]
fn files_that_cannot_be_read_are_our_fault() {
    let server = Server::answering(b"");
    let words = Tls {
        name: Some("web.test".into()),
        verify: true,
        authorities: Some("/nowhere/ca.pem".into()),
        client: None,
    };
    let reason = fails_late(words, &server.address());
    assert!(reason.starts_with("local cannot read /nowhere/ca.pem: "), "{reason}");
}
