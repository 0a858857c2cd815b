//! `run`: the bridge itself.
//!
//! In: a data folder, mappings, an address, files to begin with. Out: a bridge that answers there until it is told to stop.
//! Never here: what a request means.

use super::output::Progress;
use super::{Exit, load, load_files};
use crate::config::bridge::{self, Baseline, Config, KafkaConfig};
use crate::config::data::DataFolder;
use crate::config::files::Files;
use crate::config::render;
use crate::console;
use crate::demo::shipped;
use crate::log::{Clock, Trouble};
use crate::observe;
use crate::pipeline::{Feed, Feeding, Halt, Instance, Options, Settings};
use crate::source::gather::{Cut, Gathered, Noted, gather};
use crate::source::push::{self, Push, PushSettings, Token};
use crate::source::{Blocks, Limits};
use anyhow::{Context, bail};
use clap::Args;
use footbridge_core::time::{Instant, Span};
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// A flag takes the place of what the configuration file says.
#[derive(Args, Debug)]
pub struct Run {
    /// The configuration file (docs/configuration.md); without one every key has its default
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where log, state and secrets are kept; it is made on the first start [default: footbridge-data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The folder of policy, audiences and value sets; without one, ./mappings or the shipped examples
    #[arg(long, value_name = "DIR")]
    mappings: Option<PathBuf>,
    /// Where requests are answered [default: 127.0.0.1:8686]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// A file with the bearer token that every request has to bring; needed where other machines can reach the address
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Partitions of the log: fixed when the folder is made [default: 48]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=4096))]
    partitions: Option<u16>,
    /// Threads that work on partitions [default: 1]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=64))]
    workers: Option<u16>,
    /// NDJSON or Bundles to begin with: the first source's first complete pass. Its baseline is marked after the last
    #[arg(long, value_name = "FILE", num_args = 1..)]
    load: Vec<PathBuf>,
    /// A file with the seconds by which its clock goes beside the machine's: for rehearsals, which can set no machine's clock
    #[arg(long, value_name = "FILE", hide = true)]
    clock_beside: Option<PathBuf>,
}

/// The machine's clock, or one beside it by as many seconds as stand in a file just now.
fn clock(beside: Option<PathBuf>) -> Clock {
    let Some(file) = beside else { return Arc::new(|| jiff::Timestamp::now().into()) };
    let seconds = AtomicI64::new(0);
    Arc::new(move || {
        // While the file is being written, what it said before holds.
        if let Some(read) = std::fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok()) {
            seconds.store(read, Ordering::Relaxed);
        }
        Instant::from(jiff::Timestamp::now()).plus(Span::seconds(seconds.load(Ordering::Relaxed)))
    })
}

/// `None`: its problems are printed.
fn configured(args: &Run) -> Option<Config> {
    let mut config = match &args.config {
        None => Config::default(),
        Some(file) => {
            let reading = bridge::read_file(file, &|name| std::env::var(name).ok());
            if !reading.problems.is_empty() {
                eprint!("{}", render::for_people(&reading.problems, &reading.sources, std::io::stderr().is_terminal()));
            }
            reading.config?
        }
    };
    let Run { data, mappings, listen, token_file, partitions, workers, .. } = args;
    config.data = data.clone().unwrap_or(config.data);
    config.mappings = mappings.clone().or(config.mappings);
    config.address = listen.unwrap_or(config.address);
    config.token_file = token_file.clone().or(config.token_file);
    config.log.partitions = partitions.unwrap_or(config.log.partitions);
    config.workers = workers.map_or(config.workers, usize::from);
    Some(config)
}

pub fn run(args: &Run) -> anyhow::Result<Exit> {
    let Some(config) = configured(args) else { return Ok(Exit::Problems) };
    let missing = config.open_to_others();
    if !missing.is_empty() {
        missing.iter().for_each(|(what, hint)| eprintln!("{}: {what}\n  hint: {hint}", config.address));
        return Ok(Exit::Usage);
    }
    let token = config.token_file.as_deref().map(Token::read).transpose()?;
    let tls = match &config.tls {
        bridge::Tls::Files { certificate, key } => Some(Arc::new(push::Tls::read(certificate, key)?)),
        bridge::Tls::Unsaid | bridge::Tls::None => None,
    };
    let scheme = if tls.is_some() { "https://" } else { "" };
    let behind_proxy = config.tls == bridge::Tls::None;
    let beside = args.config.as_deref().and_then(Path::parent).unwrap_or(Path::new("")).join("mappings");
    let (mappings, which) = match &config.mappings {
        Some(folder) => (load(folder)?, folder.display().to_string()),
        None if beside.is_dir() => (load(&beside)?, beside.display().to_string()),
        None => (load_files(&Files::Texts(shipped::MAPPINGS)), "the shipped examples".to_owned()),
    };
    let Some(mappings) = mappings else { return Ok(Exit::Problems) };
    let folder = DataFolder::open(&config.data)?;
    let feeds =
        config.sources.iter().map(|one| Feed { source: one.source.clone(), marked: one.baseline != Baseline::Start, proves: one.proves });
    let options = Options {
        name: config.name.clone(),
        feeds: feeds.collect(),
        partitions: config.log.partitions,
        workers: config.workers,
        settings: Settings { members_max: config.members_max, clock_skew_max: config.clock_skew_max, ..Settings::default() },
        keep: config.keep,
        log: config.log.clone(),
        kafka: config.kafka.clone().map(KafkaConfig::read).transpose()?,
    };
    let instance = Arc::new(Instance::start(&folder, mappings, options, clock(args.clock_beside.clone()))?);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().context("the runtime")?;
    let listener = runtime.block_on(tokio::net::TcpListener::bind(config.address)).with_context(|| config.address.to_string())?;
    let address = listener.local_addr()?;
    let data = config.data.display();
    match &config.kafka {
        None => eprintln!("footbridge listens on {scheme}{address}, keeps its data in {data}, and decides by {which}"),
        Some(kafka) => {
            let brokers = &kafka.settings.bootstrap;
            eprintln!(
                "footbridge listens on {scheme}{address}, keeps its data in Kafka at {brokers}, secrets in {data}, and decides by {which}"
            );
        }
    }
    if args.load.is_empty() {
        for source in instance.unmarked()? {
            eprintln!("nothing enters an audience before the baseline of source `{source}` is marked: footbridge baseline {source}");
        }
    }
    if let Some(file) = &args.clock_beside {
        eprintln!("its clock goes beside the machine's by what {} says", file.display());
    }
    instance.assumed().iter().for_each(|assumed| eprintln!("assumed: {assumed}"));
    observe::begin(config.form, config.level);
    let limits =
        Limits { record_bytes_max: config.push.line_bytes_max, whole_file_bytes_max: config.push.body_bytes_max, ..Limits::default() };
    let settings = Arc::new(PushSettings { token, tls, behind_proxy, ..config.push });
    let routes = console::routes(Arc::clone(&instance)).merge(pushed(&instance, &settings)).fallback(push::nowhere);
    let stopped = Arc::new(tokio::sync::Notify::new());
    let stop = Arc::clone(&stopped);
    let server = runtime.spawn(push::serve(listener, routes, settings, async move { stop.notified().await }));
    let loaded = begin(&instance, &args.load)?;
    let feeding = Feeding::start(&instance, &config.sources, limits).context("a source's thread")?;
    let ended = runtime.block_on(until_told(&instance));
    stopped.notify_one();
    feeding.stop();
    // Requests that wait for news are cut off; what was acknowledged is durable.
    let served = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(5), server).await });
    if let Ok(Ok(Err(error))) = served {
        eprintln!("footbridge: {error}");
    }
    runtime.shutdown_timeout(Duration::from_secs(1));
    let Some(instance) = Arc::into_inner(instance) else { bail!("a request is still being answered; what was acknowledged is durable") };
    match instance.stop() {
        Err(Halt::Log(error)) if error.trouble == Trouble::Lost => {
            eprintln!("footbridge: {error}");
            return Ok(Exit::Replaced);
        }
        done => done.map_err(|halt| anyhow::anyhow!("{halt}"))?,
    }
    ended?;
    eprintln!("footbridge has stopped; everything it took is on disk");
    Ok(if loaded { Exit::Ok } else { Exit::Problems })
}

fn pushed(instance: &Arc<Instance>, settings: &Arc<PushSettings>) -> axum::Router {
    let (marking, library) = (Arc::clone(instance), Arc::clone(&instance.bridge.library));
    push::routes(Arc::new(Push {
        intake: Arc::clone(&instance.intake),
        landing: Arc::new(instance.log.clone()),
        recipients: Box::new(move || library.recipients()),
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
                // Where the log has ended, a worker says so.
                if let Ok(records) = instance.log.behind() {
                    observe::Backlog { records }.emit();
                }
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

/// Appends the files, then marks the baseline. `false`: something in them could not be read; what landing has of it is in quarantine.
fn begin(instance: &Instance, files: &[PathBuf]) -> anyhow::Result<bool> {
    if files.is_empty() {
        return Ok(true);
    }
    let source = instance.intake.sources[0].clone();
    let blocks = Blocks::open(files.to_vec(), Limits::default());
    let how_far = blocks.progress();
    let progress = Progress::new("loading");
    let (mut go_on, mut noted) = (
        || {
            progress.at(how_far.read(), how_far.total);
            true
        },
        |noted: Noted| progress.aside(|| eprintln!("{}:{}  {}", files[noted.file].display(), noted.line, noted.why)),
    );
    let append = &mut |entries| instance.append(entries).map(drop);
    let gathered = gather(&instance.intake, &source, blocks, &mut go_on, append, &mut noted);
    progress.done();
    let Gathered { resources, quarantined, lost } = match gathered {
        Ok(gathered) => gathered,
        Err(Cut::Log(error)) => return Err(error.into()),
        Err(Cut::Stopped) => bail!("the load was cut off"),
    };
    instance.mark_baseline(&source)?;
    eprintln!(
        "{resources} resources loaded, {quarantined} unreadable ones in quarantine, {lost} records not taken; the baseline of `{}` is marked",
        source.name
    );
    Ok(quarantined + lost == 0)
}
