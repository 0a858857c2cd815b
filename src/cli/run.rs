//! `run`: the bridge itself.
//!
//! In: a data folder, mappings, an address, files to begin with. Out: a bridge that answers there until it is told to stop.
//! Never here: what a request means.

use super::output::Progress;
use super::{Exit, load, load_files};
use crate::config::data::DataFolder;
use crate::config::files::Files;
use crate::console;
use crate::demo::shipped;
use crate::log::{Clock, embedded};
use crate::observe;
use crate::pipeline::{Instance, Options, Settings};
use crate::source::push::{self, Push, PushSettings, Token};
use crate::source::{Blocks, Limits};
use anyhow::{Context, bail};
use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

#[derive(Args, Debug)]
pub struct Run {
    /// Where log, state and secrets are kept; it is made on the first start
    #[arg(long, value_name = "DIR", default_value = "footbridge-data")]
    data: PathBuf,
    /// The folder of policy, audiences and value sets; without one, ./mappings or the shipped examples
    #[arg(long, value_name = "DIR")]
    mappings: Option<PathBuf>,
    /// Where requests are answered
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8686")]
    listen: SocketAddr,
    /// A file with the bearer token that every request has to bring; needed where other machines can reach the address
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Partitions of the log: fixed when the folder is made
    #[arg(long, default_value_t = 48, value_parser = clap::value_parser!(u16).range(1..=4096))]
    partitions: u16,
    /// Threads that work on partitions
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    workers: u16,
    /// NDJSON or Bundles to begin with: the source's first complete pass. Its baseline is marked after the last
    #[arg(long, value_name = "FILE", num_args = 1..)]
    load: Vec<PathBuf>,
}

pub fn clock() -> Clock {
    Arc::new(|| jiff::Timestamp::now().into())
}

pub fn run(args: &Run) -> anyhow::Result<Exit> {
    let token = args.token_file.as_deref().map(Token::read).transpose()?;
    if token.is_none() && !args.listen.ip().is_loopback() {
        eprintln!("--listen {}: other machines can reach it; set --token-file, or use a loopback address", args.listen);
        return Ok(Exit::Usage);
    }
    let (mappings, which) = match &args.mappings {
        Some(folder) => (load(folder), folder.display().to_string()),
        None if PathBuf::from("mappings").is_dir() => (load("mappings".as_ref()), "mappings".to_owned()),
        None => (load_files(&Files::Texts(shipped::MAPPINGS)), "the shipped examples".to_owned()),
    };
    let Some(mappings) = mappings else { return Ok(Exit::Problems) };
    let folder = DataFolder::open(&args.data)?;
    let options = Options {
        partitions: args.partitions,
        workers: usize::from(args.workers),
        settings: Settings { hold_after: mappings.policy.hold_after, ..Settings::default() },
        log: embedded::Settings::default(),
    };
    let instance = Arc::new(Instance::start(&folder, mappings, options, clock())?);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().context("the runtime")?;
    let listener = runtime.block_on(tokio::net::TcpListener::bind(args.listen)).with_context(|| format!("{}", args.listen))?;
    let address = listener.local_addr()?;
    eprintln!("footbridge listens on {address}, keeps its data in {}, and decides by {which}", args.data.display());
    if args.load.is_empty() {
        for source in instance.unmarked()? {
            eprintln!("nothing enters an audience before the baseline of source `{source}` is marked: footbridge baseline {source}");
        }
    }
    eprintln!("freshness of consents is assumed: no source proves it with watermarks");
    observe::begin(observe::Form::Plain, tracing::Level::INFO);
    let settings = Arc::new(PushSettings { token, ..PushSettings::default() });
    let routes = console::routes(Arc::clone(&instance)).merge(pushed(&instance, &settings)).fallback(push::nowhere);
    let stopped = Arc::new(tokio::sync::Notify::new());
    let stop = Arc::clone(&stopped);
    let server = runtime.spawn(push::serve(listener, routes, settings, async move { stop.notified().await }));
    let loaded = begin(&instance, &args.load)?;
    let ended = runtime.block_on(until_told(&instance));
    stopped.notify_one();
    // Requests that wait for news are cut off; what was acknowledged is durable.
    let served = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(5), server).await });
    if let Ok(Ok(Err(error))) = served {
        eprintln!("footbridge: {error}");
    }
    runtime.shutdown_timeout(Duration::from_secs(1));
    let Some(instance) = Arc::into_inner(instance) else { bail!("a request is still being answered; what was acknowledged is durable") };
    instance.stop().map_err(|halt| anyhow::anyhow!("{halt}"))?;
    ended?;
    eprintln!("footbridge has stopped; everything it took is on disk");
    Ok(if loaded { Exit::Ok } else { Exit::Problems })
}

fn pushed(instance: &Arc<Instance>, settings: &Arc<PushSettings>) -> axum::Router {
    let content = instance.bridge.library.in_force();
    let names = content.definitions.policy.recipients.iter().map(|recipient| recipient.key.clone());
    let marking = Arc::clone(instance);
    push::routes(Arc::new(Push {
        intake: Arc::clone(&instance.intake),
        landing: Arc::new(instance.log.clone()),
        recipients: names.zip(content.member_keys.iter().cloned()).collect(),
        marked: Box::new(move |source| marking.baseline_landed(source)),
        settings: Arc::clone(settings),
    }))
}

/// Until Ctrl-C or SIGTERM, or until a worker ends by itself.
async fn until_told(instance: &Instance) -> anyhow::Result<()> {
    let mut looked = tokio::time::interval(Duration::from_millis(500));
    let mut told = std::pin::pin!(signal());
    let mut before = Vec::new();
    loop {
        tokio::select! {
            () = &mut told => return Ok(()),
            _ = looked.tick() => {
                let troubles = instance.troubles();
                if troubles != before {
                    troubles.iter().for_each(|trouble| eprintln!("footbridge: {trouble}"));
                    before = troubles;
                }
                if instance.is_broken() {
                    bail!("a worker ended: {}", before.join("; "));
                }
            }
        }
    }
}

#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        // Without handlers the system's own way ends the process, which is as safe.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

#[cfg(not(unix))]
async fn signal() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}

/// Records that are appended together.
const PART: usize = 500;

/// Appends the files, then marks the baseline. `false`: something in them could not be read, and is in quarantine.
fn begin(instance: &Instance, files: &[PathBuf]) -> anyhow::Result<bool> {
    if files.is_empty() {
        return Ok(true);
    }
    let source = instance.intake.sources[0].clone();
    let blocks = Blocks::open(files.to_vec(), Limits::default());
    let how_far = blocks.progress();
    let progress = Progress::new("loading");
    let (mut resources, mut refused, mut entries) = (0, 0, Vec::new());
    for block in blocks {
        for record in block.records() {
            match record {
                Ok(record) => {
                    let received = instance.intake.receive(&source, record.bytes);
                    resources += received.resources;
                    refused += received.refused.len();
                    entries.extend(received.entries);
                }
                Err(refusal) => {
                    refused += 1;
                    progress.aside(|| eprintln!("{}:{}  {}", files[refusal.file].display(), refusal.line, refusal.why));
                }
            }
            if entries.len() >= PART {
                instance.append(std::mem::take(&mut entries))?;
            }
        }
        progress.at(how_far.read(), how_far.total);
    }
    instance.append(entries)?;
    progress.done();
    instance.mark_baseline(&source)?;
    eprintln!("{resources} resources loaded, {refused} of them refused; the baseline of `{}` is marked", source.name);
    Ok(refused == 0)
}
