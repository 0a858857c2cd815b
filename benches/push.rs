//! HTTP push into the real program: Bundles of 100, each on disk before it is acknowledged.
//!
//! In: the shared data. Out: a table. Never here: a Bundle that is made while the clock runs.

use super::live::{Live, bundle, send};
use super::{feed, table, yardstick};
use footbridge::console::client::Client;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const BUNDLE: usize = 100;
/// Senders that each wait for their answer.
const SENDERS: usize = 8;

pub fn run(copies: usize) {
    let records: Vec<Vec<u8>> = feed::mix(&feed::shared(), copies).into_iter().map(|record| record.body).collect();
    table::head(&format!("HTTP push: {} resources in Bundles of {BUNDLE}, {SENDERS} connections", records.len()));
    yardstick::rows(records.chunks(BUNDLE));
    let bundles: Vec<Vec<u8>> = records.chunks(BUNDLE).map(|part| bundle(part.iter().map(Vec::as_slice))).collect();
    let (plain, _runtime) = reads_and_drops();
    table::plain(
        "axum on hyper alone, which reads a body and drops it",
        &format!("{:.0} resources/s", records.len() as f64 / all(&plain, &bundles).as_secs_f64()),
    );
    let live = Live::begin(&[]);
    live.baseline();
    let start = Instant::now();
    let took = all(&live.address, &bundles);
    table::rate("acknowledged, durable in landing", records.len(), took, "resources", 50_000.0);
    live.settle();
    table::plain("worked off", &format!("{:.0} resources/s", records.len() as f64 / start.elapsed().as_secs_f64()));
}

/// How long it takes until every Bundle has its answer.
fn all(address: &str, bundles: &[Vec<u8>]) -> Duration {
    let (next, start) = (AtomicUsize::new(0), Instant::now());
    std::thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| {
                let client = Client::new(address, None);
                while let Some(bundle) = bundles.get(next.fetch_add(1, Ordering::Relaxed)) {
                    send(&client, bundle);
                }
            });
        }
    });
    start.elapsed()
}

/// What HTTP itself costs here, by the same senders.
fn reads_and_drops() -> (String, tokio::runtime::Runtime) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let routes = axum::Router::new().route("/fhir", axum::routing::post(reads)).layer(axum::extract::DefaultBodyLimit::disable());
    runtime.spawn(async move { axum::serve(listener, routes).await });
    (address, runtime)
}

async fn reads(body: axum::body::Bytes) {
    drop(body);
}
