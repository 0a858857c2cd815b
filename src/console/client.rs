//! What commands ask a running bridge.
//!
//! In: its address, a token. Out: answers, or an error that says what to do. Never here: a way around the bridge to its folder.

use anyhow::{Context, bail, ensure};
use sonic_rs::Value;
use std::sync::Arc;
use std::time::Duration;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

pub struct Client {
    agent: ureq::Agent,
    address: String,
    token: Option<String>,
}

pub struct Answer {
    pub body: Vec<u8>,
    /// From where to go on, where the answer is a list.
    pub next: Option<u64>,
}

/// An answer, or a line of one.
pub fn value(bytes: &[u8]) -> anyhow::Result<Value> {
    sonic_rs::from_slice(bytes).context("the bridge's answer")
}

impl Answer {
    pub fn value(&self) -> anyhow::Result<Value> {
        value(&self.body)
    }

    /// The lines of a list, without their ends.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.body.split(|b| *b == b'\n').filter(|line| !line.is_empty())
    }
}

impl Client {
    /// `address`: host and port, or a URL of them.
    pub fn new(address: &str, token: Option<String>) -> Client {
        Client::with(address, token, TlsConfig::default())
    }

    /// Over TLS: `authority` is PEM, and vouches for the bridge's certificate. No other does.
    pub fn trusting(address: &str, token: Option<String>, authority: &[u8]) -> anyhow::Result<Client> {
        let mut certificates = Vec::new();
        for item in parse_pem(authority) {
            if let PemItem::Certificate(certificate) = item.context("the authority's certificate")? {
                certificates.push(certificate);
            }
        }
        ensure!(!certificates.is_empty(), "the file of the authority holds no certificate in PEM form");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = TlsConfig::builder().unversioned_rustls_crypto_provider(provider).root_certs(RootCerts::new_with_certs(&certificates));
        Ok(Client::with(address, token, tls.build()))
    }

    fn with(address: &str, token: Option<String>, tls: TlsConfig) -> Client {
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(60)));
        let address = if address.contains("://") { address.trim_end_matches('/').to_owned() } else { format!("http://{address}") };
        Client { agent: config.tls_config(tls).build().into(), address, token }
    }

    pub fn get(&self, path: &str) -> anyhow::Result<Answer> {
        let mut request = self.agent.get(format!("{}{path}", self.address));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        self.answer(request.call())
    }

    /// Every line of a list that the bridge gives in parts, from its beginning.
    pub fn each_line(&self, path: &str, each: &mut dyn FnMut(&[u8]) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let mut from = 0;
        loop {
            let answer = self.get(&format!("{path}?from={from}"))?;
            answer.lines().try_for_each(&mut *each)?;
            match answer.next.filter(|next| *next > from) {
                Some(next) => from = next,
                None => return Ok(()),
            }
        }
    }

    pub fn post(&self, path: &str, kind: &str, body: &[u8]) -> anyhow::Result<Answer> {
        let mut request = self.agent.post(format!("{}{path}", self.address)).header("content-type", kind);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        self.answer(request.send(body))
    }

    fn answer(&self, done: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> anyhow::Result<Answer> {
        let mut response = match done {
            Ok(response) => response,
            Err(ureq::Error::ConnectionFailed | ureq::Error::Io(_) | ureq::Error::HostNotFound) => {
                bail!("no bridge answers at {}; start one with `footbridge run`, or name its address with --at", self.address)
            }
            Err(error) => return Err(error).with_context(|| self.address.clone()),
        };
        let next = response.headers().get("footbridge-next").and_then(|next| next.to_str().ok()?.parse().ok());
        let status = response.status();
        let body = response.body_mut().with_config().limit(1 << 30).read_to_vec().with_context(|| self.address.clone())?;
        if !status.is_success() {
            bail!("{} answers {status}: {}", self.address, String::from_utf8_lossy(&body).trim_end());
        }
        Ok(Answer { body, next })
    }
}
