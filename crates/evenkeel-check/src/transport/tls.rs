//! TLS by rustls, driven by whoever owns the socket: cipher text in, cipher text out. Certificates are
//! verified unless the check says otherwise, and what is wrong with one is said in words.

use crate::dialogue::HEARD_MAX;
use crate::engine::{Tls, Transport};
use evenkeel_core::config::Address;
use evenkeel_core::evidence::{Layer, Mark, Reason};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme,
};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// One TLS connection.
#[derive(Debug)]
pub(crate) struct Session {
    inner: ClientConnection,
    closed: bool,
}

/// Reads the files that the words name. The system's authorities are read once per process.
pub(crate) fn prepare(words: &Tls) -> Result<Arc<ClientConfig>, Reason> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| Reason::local(format!("TLS: {error}")))?;
    let builder = if words.verify {
        let roots = match &words.authorities {
            Some(file) => Arc::new(own_authorities(file)?),
            None => system_authorities(),
        };
        builder.with_root_certificates(roots)
    } else {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
    };
    let mut config = match &words.client {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            let key = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, error))?;
            builder
                .with_client_auth_cert(certificates(chain)?, key)
                .map_err(|error| Reason::local(format!("client certificate: {error}")))?
        }
    };
    // A check wants to see the whole handshake, every time.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

impl Session {
    /// A session that is about to say its first words.
    pub(crate) fn start(
        config: &Arc<ClientConfig>,
        transport: &Transport,
        address: &Address,
    ) -> Result<Session, Reason> {
        let name = match transport {
            Transport::Stream(stream) => stream.tls.as_ref().and_then(|words| words.name.clone()),
            Transport::HalfOpen => None,
        };
        let name = match (name, address) {
            (Some(name), _) => ServerName::try_from(name.clone())
                .map_err(|_| Reason::local(format!("{name} is no name for a certificate")))?,
            (None, Address::Ip(address)) => ServerName::from(address.ip()),
            (None, _) => return Err(Reason::local("TLS over a unix socket needs a name")),
        };
        let inner = ClientConnection::new(config.clone(), name).map_err(|error| explain(&error))?;
        Ok(Session { inner, closed: false })
    }

    /// Whether the handshake goes on.
    pub(crate) fn shaking(&self) -> bool {
        self.inner.is_handshaking()
    }

    /// Whether the peer has said goodbye.
    pub(crate) fn closed(&self) -> bool {
        self.closed
    }

    /// Takes cipher text; what it meant is added to `plain`, as far as that may grow.
    pub(crate) fn feed(&mut self, mut cipher: &[u8], plain: &mut Vec<u8>) -> Result<(), Reason> {
        while !cipher.is_empty() {
            self.inner.read_tls(&mut cipher).map_err(|_| broken("more than a session can hold"))?;
            let state = self.inner.process_new_packets().map_err(|error| explain(&error))?;
            self.closed |= state.peer_has_closed();
            let room = HEARD_MAX.saturating_sub(plain.len()).min(state.plaintext_bytes_to_read());
            let before = plain.len();
            plain.resize(before + room, 0);
            let count = self.inner.reader().read(&mut plain[before..]).unwrap_or(0);
            plain.truncate(before + count);
            if plain.len() == HEARD_MAX {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Says something.
    pub(crate) fn say(&mut self, plain: &[u8]) {
        // Its buffer has no bound unless one is set, so this cannot fail.
        let _ = self.inner.writer().write_all(plain);
    }

    /// The cipher text that waits to be sent.
    pub(crate) fn pull(&mut self, cipher: &mut Vec<u8>) {
        while self.inner.wants_write() && self.inner.write_tls(cipher).is_ok() {}
    }

    /// Says goodbye: `close_notify` (RFC 8446, 6.1).
    pub(crate) fn bye(&mut self, cipher: &mut Vec<u8>) {
        self.inner.send_close_notify();
        self.pull(cipher);
    }
}

fn system_authorities() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let load = || {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(roots)
    };
    ROOTS.get_or_init(load).clone()
}

fn own_authorities(file: &Path) -> Result<RootCertStore, Reason> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates(file)?);
    if added == 0 {
        return Err(Reason::local(format!("no authority in {}", file.display())));
    }
    Ok(roots)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Reason> {
    let found = CertificateDer::pem_file_iter(file).map_err(|error| unreadable(file, error))?;
    found.collect::<Result<_, _>>().map_err(|error| unreadable(file, error))
}

fn unreadable(file: &Path, error: impl std::fmt::Display) -> Reason {
    Reason::local(clip(format!("cannot read {}: {error}", file.display())))
}

/// What went wrong, in words. A certificate that is wrong is soft: whoever does not check it is still served.
fn explain(error: &Error) -> Reason {
    match error {
        Error::InvalidCertificate(wrong) => broken(wrong_certificate(wrong)),
        Error::AlertReceived(alert) => broken(format!("refused by the server: alert {alert:?}")),
        Error::InvalidMessage(_) => broken("it does not speak TLS"),
        Error::NoCertificatesPresented => broken("it has no certificate"),
        Error::PeerIncompatible(what) => broken(format!("handshake: {what:?}")),
        other => broken(format!("handshake: {other}")),
    }
}

fn wrong_certificate(wrong: &CertificateError) -> String {
    match wrong {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => match wrong {
            CertificateError::ExpiredContext { time, not_after } => {
                let ago = time.as_secs().saturating_sub(not_after.as_secs());
                format!("certificate expired {} ago", evenkeel_core::Span::from_secs(ago))
            }
            _ => "certificate expired".into(),
        },
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "certificate is not valid yet".into()
        }
        CertificateError::NotValidForName => "certificate is for another name".into(),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names: Vec<&str> = presented.iter().map(|name| plain_name(name)).collect();
            format!("certificate is not for {} but for {}", expected.to_str(), names.join(", "))
        }
        CertificateError::UnknownIssuer => "certificate of an unknown authority".into(),
        CertificateError::BadSignature => "certificate whose signature is wrong".into(),
        CertificateError::Revoked => "certificate was revoked".into(),
        other => format!("certificate: {other:?}"),
    }
}

/// rustls prints a presented name as `DnsName("a.example")`.
fn plain_name(printed: &str) -> &str {
    printed.split('"').nth(1).unwrap_or(printed)
}

fn broken(text: impl Into<String>) -> Reason {
    Reason::soft(Layer::L6, Mark::Wrong, clip(text.into()))
}

fn clip(mut text: String) -> String {
    let mut end = text.len().min(120);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

/// For `verify no`: any certificate will do, but the peer must hold its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _stapled: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
