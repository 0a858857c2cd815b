//! Any bytes as a record of a feed, read as the shipped mappings read it: taken or refused, never a panic.
#![no_main]

use footbridge::cli::rehearsal::Engine;
use footbridge::config::mappings;
use footbridge_core::fhir::bundle::{self, Change};
use footbridge_core::fhir::{BundleLinks, Unreadable, json, peek};
use footbridge_core::time::Instant;
use libfuzzer_sys::fuzz_target;
use std::path::Path;
use std::sync::LazyLock;

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mappings");
    Engine::rehearsing(mappings::read(&folder).mappings.expect("the shipped mappings are right"))
});

fn one(bytes: &[u8], given_id: Option<&str>, links: Option<&BundleLinks>) -> Result<(), Unreadable> {
    ENGINE.origin().read(bytes, given_id, links, Instant::BEGIN).map(|_| ())
}

fuzz_target!(|bytes: &[u8]| {
    if let Err(unreadable) = json::parse(bytes) {
        let _ = format!("{unreadable} {unreadable:?}");
    }
    let _ = one(bytes, Some("given"), None);
    if let (Ok(kind), Ok(bundle)) = (peek::kind(bytes), bundle::read(bytes)) {
        assert_eq!(kind, "Bundle");
        let links = BundleLinks::new(&bundle, bytes);
        for entry in &bundle.entries {
            if let Change::Put { id, bytes, .. } = &entry.change {
                let _ = one(bytes, id.as_deref(), Some(&links));
            }
        }
    }
});
