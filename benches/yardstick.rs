//! What this disk and the bare store do with the same bytes, just now.
//!
//! In: parts that are made durable one by one. Out: two rows. Never here: Footbridge.

use super::{live, table};
use std::io::Write;
use std::time::Instant;

/// Each part is one write and one sync.
pub fn rows<'a>(parts: impl Iterator<Item = &'a [Vec<u8>]> + Clone) {
    let folder = live::folder();
    let (mut records, start) = (0, Instant::now());
    let mut file = std::fs::File::create(folder.join("plain")).expect("a file");
    for part in parts.clone() {
        records += part.len();
        file.write_all(&part.concat()).and_then(|()| file.sync_data()).expect("a disk");
    }
    told("a plain file, one sync a part", records, start);

    let (mut number, start) = (0_u64, Instant::now());
    let database = fjall::Database::builder(folder.join("fjall")).open().expect("a store");
    let space = database.keyspace("records", fjall::KeyspaceCreateOptions::default).expect("a keyspace");
    for part in parts {
        let mut batch = database.batch();
        for record in part {
            batch.insert(&space, number.to_be_bytes(), record.as_slice());
            number += 1;
        }
        batch.commit().and_then(|()| database.persist(fjall::PersistMode::SyncAll)).expect("a disk");
    }
    told("fjall alone, one sync a part", records, start);
    drop((space, database));
    std::fs::remove_dir_all(&folder).expect("a folder of our own");
}

fn told(what: &str, records: usize, start: Instant) {
    table::plain(what, &format!("{:.0} records/s", records as f64 / start.elapsed().as_secs_f64()));
}
