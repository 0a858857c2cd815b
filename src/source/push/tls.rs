//! TLS of the listener (1.2 and 1.3, rustls).
//!
//! In: two PEM files, looked at again and again. Out: what shakes hands with peers, renewed where the files are.
//! Never here: a key that prints, or a name of the peer: a token says who it is.

use crate::observe::CertificateChanged;
use anyhow::{Context, bail};
use rustls::ServerConfig;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::convert::Infallible;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio_rustls::TlsAcceptor;

/// Between two looks at the files.
const LOOK: Duration = Duration::from_secs(2);

pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    /// What the files held when they were read, and what was made of it.
    current: RwLock<(Content, TlsAcceptor)>,
}

/// The bytes of both files.
type Content = (Vec<u8>, Vec<u8>);

impl Tls {
    /// `certificate` holds the chain, the bridge's own first.
    ///
    /// # Errors
    /// They say which file, what is wrong with it, and what it should hold.
    pub fn read(certificate: &Path, key: &Path) -> anyhow::Result<Tls> {
        let content = (read(certificate)?, read(key)?);
        let acceptor = acceptor(&content, certificate, key)?;
        Ok(Tls { certificate: certificate.to_owned(), key: key.to_owned(), current: RwLock::new((content, acceptor)) })
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.current.read().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    /// Takes over what is renewed, for as long as it is polled. Connections that stand keep what they shook hands with.
    pub(super) async fn renew(&self) -> Infallible {
        let mut before = self.current.read().unwrap_or_else(PoisonError::into_inner).0.clone();
        // A look that found another content than the one before: the other file may follow.
        let mut fresh = false;
        loop {
            tokio::time::sleep(LOOK).await;
            let (certificate, key) = (self.certificate.clone(), self.key.clone());
            let looked = tokio::task::spawn_blocking(move || Ok::<_, anyhow::Error>((read(&certificate)?, read(&key)?))).await;
            // Between two renames a file may be absent: the next look sees it.
            let Ok(Ok(now)) = looked else { continue };
            if now != before {
                (before, fresh) = (now, true);
            } else if std::mem::take(&mut fresh) {
                self.take(&now);
            }
        }
    }

    /// What cannot be used is told, and what was in use goes on.
    fn take(&self, content: &Content) {
        if self.current.read().unwrap_or_else(PoisonError::into_inner).0 == *content {
            return;
        }
        match acceptor(content, &self.certificate, &self.key) {
            Ok(acceptor) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = (content.clone(), acceptor);
                CertificateChanged { why_not: None }.emit();
            }
            Err(why) => CertificateChanged { why_not: Some(format!("{why:#}")) }.emit(),
        }
    }
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(file).map_err(|error| anyhow::anyhow!("{}: cannot be read: {}", file.display(), error.kind()))
}

fn acceptor((chain, key): &Content, chain_file: &Path, key_file: &Path) -> anyhow::Result<TlsAcceptor> {
    let (chain_file, key_file) = (chain_file.display(), key_file.display());
    let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| wrong(&error, "a certificate")).with_context(|| chain_file.to_string())?;
    if chain.is_empty() {
        bail!("{chain_file}: holds no certificate; it must begin with -----BEGIN CERTIFICATE-----");
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| wrong(&error, "a private key")).with_context(|| key_file.to_string())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().context("the protocols of TLS")?;
    let mut config = match config.with_no_client_auth().with_single_cert(chain, key) {
        Ok(config) => config,
        Err(rustls::Error::InconsistentKeys(_)) => bail!("{key_file}: is not the key of the certificate in {chain_file}"),
        Err(rustls::Error::InvalidCertificate(_)) => bail!("{chain_file}: its first certificate cannot be read"),
        Err(_) => bail!("{key_file}: a key of this kind cannot be used; make one of ECDSA P-256, Ed25519 or RSA"),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn wrong(error: &PemError, what: &str) -> anyhow::Error {
    match error {
        PemError::NoItemsFound => anyhow::anyhow!("holds no {}; it must be in PEM form", what.trim_start_matches("a ")),
        _ => anyhow::anyhow!("is no PEM of {what}"),
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}
