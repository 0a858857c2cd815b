//! Bodies, as they come: in bounded parts, unpacked, and never waited for without end.
//!
//! In: the body of a request. Out: bytes, at most as many as the caller allows.
//! Never here: what the bytes say, or more memory than a slice of gzip can fill beyond the bound.

use super::answer::Refusal;
use super::settings::PushSettings;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use flate2::write::MultiGzDecoder;
use http_body_util::BodyExt;
use std::io::Write;
use std::time::{Duration, Instant};

/// A body holds either one thing, or a thing a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Whole,
    Lines,
}

pub fn form(headers: &HeaderMap) -> Result<Form, Refusal> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).ok_or(Refusal::WrongType)?;
    let essence = kind.split(';').next().unwrap_or(kind).trim();
    match essence.to_ascii_lowercase().as_str() {
        "application/fhir+json" | "application/json" => Ok(Form::Whole),
        "application/fhir+ndjson" | "application/x-ndjson" | "application/ndjson" => Ok(Form::Lines),
        _ => Err(Refusal::WrongType),
    }
}

/// Bytes of gzip that are unpacked at once: 4 kB become at most about 4 MB.
const SLICE: usize = 4096;

pub struct Reader<'a> {
    body: Body,
    gzip: Option<MultiGzDecoder<Vec<u8>>>,
    /// Came, and is not unpacked yet.
    waiting: Bytes,
    /// Bytes on the wire so far, and how long they were waited for.
    came: u64,
    waited: Duration,
    settings: &'a PushSettings,
}

impl<'a> Reader<'a> {
    pub fn new(headers: &HeaderMap, body: Body, settings: &'a PushSettings) -> Result<Reader<'a>, Refusal> {
        let gzip = match headers.get(header::CONTENT_ENCODING).map(|encoding| encoding.as_bytes().to_ascii_lowercase()) {
            None => None,
            Some(encoding) => match &encoding[..] {
                b"identity" => None,
                b"gzip" | b"x-gzip" => Some(MultiGzDecoder::new(Vec::new())),
                _ => return Err(Refusal::WrongEncoding),
            },
        };
        Ok(Reader { body, gzip, waiting: Bytes::new(), came: 0, waited: Duration::ZERO, settings })
    }

    /// Adds the next part to `to`. `false`: there is none any more.
    pub async fn more(&mut self, to: &mut Vec<u8>) -> Result<bool, Refusal> {
        if self.waiting.is_empty() && !self.next_frame().await? {
            let Some(mut gzip) = self.gzip.take() else { return Ok(false) };
            gzip.try_finish().map_err(|_| Refusal::Cut)?;
            to.append(gzip.get_mut());
            return Ok(true);
        }
        match &mut self.gzip {
            None => to.extend_from_slice(&std::mem::take(&mut self.waiting)),
            Some(gzip) => {
                let slice = self.waiting.split_to(self.waiting.len().min(SLICE));
                gzip.write_all(&slice).map_err(|_| Refusal::Cut)?;
                to.append(gzip.get_mut());
            }
        }
        Ok(true)
    }

    /// All of it, if it is no longer than `most`.
    pub async fn whole(mut self, most: usize) -> Result<Vec<u8>, Refusal> {
        let mut bytes = Vec::new();
        while self.more(&mut bytes).await? {
            if bytes.len() > most {
                return Err(Refusal::TooLong { what: "a body", most: most as u64 });
            }
        }
        // The last part comes with the end.
        if bytes.len() > most { Err(Refusal::TooLong { what: "a body", most: most as u64 }) } else { Ok(bytes) }
    }

    async fn next_frame(&mut self) -> Result<bool, Refusal> {
        while self.waiting.is_empty() {
            let began = Instant::now();
            let next = tokio::time::timeout(self.settings.body_idle, self.body.frame()).await.map_err(|_| Refusal::Slow)?;
            self.waited += began.elapsed();
            let Some(frame) = next else { return Ok(false) };
            // Trailers say nothing here.
            let Ok(bytes) = frame.map_err(|_| Refusal::Cut)?.into_data() else { continue };
            self.came += bytes.len() as u64;
            let allowed = self.settings.body_idle.as_secs() + self.came / self.settings.body_bytes_per_second.max(1);
            if self.waited.as_secs() > allowed {
                return Err(Refusal::Slow);
            }
            self.waiting = bytes;
        }
        Ok(true)
    }
}
