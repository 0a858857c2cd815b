//! TLS of the listener (1.2 and 1.3, rustls).
//!
//! In: two PEM files. Out: what shakes hands with peers. Never here: a key that prints, or a name of the peer: a token says who it is.

use anyhow::{Context, bail};
use rustls::ServerConfig;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

#[derive(Clone)]
pub struct Tls(pub(super) TlsAcceptor);

impl Tls {
    /// `certificate` holds the chain, the bridge's own first.
    ///
    /// # Errors
    /// They say which file, what is wrong with it, and what it should hold.
    pub fn read(certificate: &Path, key: &Path) -> anyhow::Result<Tls> {
        let (chain_file, key_file) = (certificate.display(), key.display());
        let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let chain = chain.map_err(|error| wrong(&error, "a certificate")).with_context(|| chain_file.to_string())?;
        if chain.is_empty() {
            bail!("{chain_file}: holds no certificate; it must begin with -----BEGIN CERTIFICATE-----");
        }
        let key =
            PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(&error, "a private key")).with_context(|| key_file.to_string())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().context("the protocols of TLS")?;
        let mut config = match config.with_no_client_auth().with_single_cert(chain, key) {
            Ok(config) => config,
            Err(rustls::Error::InconsistentKeys(_)) => bail!("{key_file}: is not the key of the certificate in {chain_file}"),
            Err(rustls::Error::InvalidCertificate(_)) => bail!("{chain_file}: its first certificate cannot be read"),
            Err(_) => bail!("{key_file}: a key of this kind cannot be used; make one of ECDSA P-256, Ed25519 or RSA"),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Tls(TlsAcceptor::from(Arc::new(config))))
    }
}

fn wrong(error: &PemError, what: &str) -> anyhow::Error {
    match error {
        PemError::Io(error) => anyhow::anyhow!("cannot be read: {}", error.kind()),
        PemError::NoItemsFound => anyhow::anyhow!("holds no {}; it must be in PEM form", what.trim_start_matches("a ")),
        _ => anyhow::anyhow!("is no PEM of {what}"),
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}
