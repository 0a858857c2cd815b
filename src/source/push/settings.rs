//! What an operator may set about push.
//!
//! In: the files of a token and of TLS. Out: limits with their units. Never here: a token that prints.

use super::tls::Tls;
use anyhow::{Context, ensure};
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct PushSettings {
    /// What each request has to bring. `None`: whoever reaches the listener, which must be loopback then.
    pub token: Option<Token>,
    /// What the listener shakes hands with.
    pub tls: Option<Arc<Tls>>,
    /// A proxy before the bridge ends TLS: said on purpose.
    pub behind_proxy: bool,
    /// Bytes of a body, unpacked: 64 MB hold a Bundle of 100,000 small entries.
    pub body_bytes_max: usize,
    /// Bytes of one line of NDJSON.
    pub line_bytes_max: usize,
    /// Bytes of NDJSON that are appended together.
    pub part_bytes: usize,
    /// Bytes of a whole NDJSON stream, unpacked.
    pub stream_bytes_max: u64,
    /// Connections that are open at once; more wait unaccepted.
    pub connections_max: usize,
    /// The sources that may push, by name. `None`: all.
    pub sources: Option<Vec<String>>,
    /// The longest that a TLS handshake may take.
    pub handshake_within: Duration,
    /// The longest that a request's head may take, and that a connection may stand idle.
    pub head_within: Duration,
    /// The longest wait for the next bytes of a body.
    pub body_idle: Duration,
    /// A body that comes slower than this, by its bytes on the wire, is cut off.
    pub body_bytes_per_second: u64,
    /// The longest that a stream waits for room in landing before it is told to come again.
    pub busy_wait: Duration,
    /// The longest that requests in hand are waited for at a stop.
    pub drain: Duration,
}

impl Default for PushSettings {
    fn default() -> PushSettings {
        PushSettings {
            token: None,
            tls: None,
            behind_proxy: false,
            body_bytes_max: 64 << 20,
            line_bytes_max: 16 << 20,
            part_bytes: 1 << 20,
            stream_bytes_max: 64 << 30,
            connections_max: 1000,
            sources: None,
            handshake_within: Duration::from_secs(10),
            head_within: Duration::from_secs(10),
            body_idle: Duration::from_secs(10),
            body_bytes_per_second: 1024,
            busy_wait: Duration::from_secs(30),
            drain: Duration::from_secs(5),
        }
    }
}

/// A bearer token, kept as its hash.
#[derive(Clone)]
pub struct Token([u8; 32]);

const TOKEN_BYTES_MIN: usize = 16;

impl Token {
    /// # Errors
    /// The file cannot be read, or holds less than a token that cannot be guessed.
    pub fn read(file: &Path) -> anyhow::Result<Token> {
        let text = std::fs::read_to_string(file).with_context(|| format!("{}: the token cannot be read", file.display()))?;
        let text = text.trim();
        ensure!(
            text.len() >= TOKEN_BYTES_MIN && text.bytes().all(|byte| byte.is_ascii_graphic()),
            "{}: a token needs at least {TOKEN_BYTES_MIN} characters, printable and without blanks",
            file.display()
        );
        Ok(Token::new(text))
    }

    pub fn new(text: &str) -> Token {
        Token(Sha256::digest(text.as_bytes()).into())
    }

    /// Of hashes, byte by byte to the end: how long it takes says nothing of the token.
    pub fn is(&self, given: &str) -> bool {
        let given: [u8; 32] = Sha256::digest(given.as_bytes()).into();
        self.0.iter().zip(given).fold(0, |differs, (ours, theirs)| differs | (ours ^ theirs)) == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}
