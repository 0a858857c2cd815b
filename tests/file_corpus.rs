//! Synthea's files through the file source. Needs the feature `corpus` and its data.
#![cfg(feature = "corpus")]

use footbridge::source::{Blocks, Limits};
use footbridge_core::fhir::bundle;
use std::path::PathBuf;

#[test]
fn every_bundle_of_the_archive_is_a_record() {
    let shared = std::env::var("FOOTBRIDGE_SHARED").unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../shared").to_owned());
    let folder = PathBuf::from(shared).join("data/synthea-r4");
    let files = ["patients", "providers"].map(|name| folder.join(format!("{name}.bundles.ndjson.zst"))).to_vec();
    assert!(files.iter().all(|file| file.exists()), "test data is missing: {}; set FOOTBRIDGE_SHARED", folder.display());
    let blocks = Blocks::open(files, Limits::default());
    let progress = blocks.progress();
    let (mut records, mut entries) = ([0, 0], 0);
    for block in blocks {
        for record in block.records() {
            let record = record.unwrap_or_else(|refused| panic!("{}", refused.why));
            records[record.file] += 1;
            assert_eq!(record.line, records[record.file]);
            let read = bundle::read(record.bytes).expect("a Bundle");
            entries += if record.file == 0 { read.entries.len() } else { 0 };
        }
    }
    assert_eq!((records, entries), ([293, 2], 90_552));
    assert_eq!((progress.read(), progress.total > 0), (progress.total, true));
}
