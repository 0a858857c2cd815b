//! FHIR as others wrote it: Synthea's Bundles and the Backport examples. Needs the feature `corpus` and its data.
#![cfg(feature = "corpus")]

use footbridge_core::fhir::bundle::{self, BundleKind, Change};
use footbridge_core::fhir::{BundleLinks, LinkKind, json, peek};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

fn data(path: &str) -> PathBuf {
    let shared = std::env::var("FOOTBRIDGE_SHARED").unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../shared").to_owned());
    let path = PathBuf::from(shared).join("data").join(path);
    assert!(path.exists(), "test data is missing: {}; set FOOTBRIDGE_SHARED", path.display());
    path
}

fn bundles(path: &str) -> impl Iterator<Item = Vec<u8>> {
    let packed = File::open(data(path)).expect("a file that can be opened");
    BufReader::new(zstd::Decoder::new(packed).expect("a zstd file")).split(b'\n').map(|line| line.expect("unpacks"))
}

#[test]
fn every_entry_of_synthea_is_read_and_every_uuid_resolved() {
    let (mut count, mut resources, mut of_no_patient) = (0, 0, BTreeMap::<String, usize>::new());
    let mut links_by_kind = BTreeMap::<LinkKind, usize>::new();
    for line in bundles("synthea-r4/patients.bundles.ndjson.zst") {
        let bundle = bundle::read(&line).expect("a Bundle");
        assert_eq!(bundle.kind, BundleKind::Transaction);
        let links = BundleLinks::new(&bundle, &line);
        let mut patient = None;
        for entry in &bundle.entries {
            let Change::Put { kind, id: Some(id), bytes } = &entry.change else { panic!("entry {} is no put", entry.index) };
            let peek = peek(bytes).expect("a resource");
            assert_eq!((&peek.kind, peek.id.as_ref()), (kind, Some(id)));
            assert_eq!(entry.full_url.as_deref(), Some(format!("urn:uuid:{id}").as_str()));
            if kind == "Patient" {
                assert_eq!(patient.replace(id.clone()), None, "one patient a Bundle");
            }
            let (ids, unclear) = links.patients(&peek);
            assert!(!unclear);
            match (ids.as_slice(), patient.as_deref()) {
                ([one], Some(patient)) => assert_eq!(*one, patient),
                ([], _) => *of_no_patient.entry(kind.to_string()).or_default() += 1,
                _ => panic!("{kind} is about several, or comes before its patient"),
            }
            for link in peek.links().expect("links") {
                let text = link.text.expect("a text");
                assert!(links.resolve(&text).is_some());
                *links_by_kind.entry(link.kind).or_default() += 1;
            }
            let mut at = 0;
            while let Some(found) = memchr::memmem::find(&bytes[at..], b"\"reference\":\"urn:uuid:") {
                let start = at + found + 13;
                let text = std::str::from_utf8(&bytes[start..start + 45]).expect("a uuid");
                assert!(links.resolve(text).is_some(), "unresolved in {kind}");
                at = start;
            }
            resources += 1;
        }
        count += 1;
    }
    // All entries, 473 Organizations and as many Practitioners among them.
    assert_eq!((count, resources), (293, 90_552));
    assert_eq!(of_no_patient, BTreeMap::from([("Organization".to_owned(), 473), ("Practitioner".to_owned(), 473)]));
    let expected = [(LinkKind::Encounter, 60_412), (LinkKind::Reason, 1_463 + 10_589 + 871)];
    assert_eq!(links_by_kind, BTreeMap::from(expected));
}

#[test]
fn peek_and_parse_agree_on_synthea() {
    use sonic_rs::JsonValueTrait;
    for line in bundles("synthea-r4/patients.bundles.ndjson.zst").step_by(10) {
        for entry in bundle::read(&line).expect("a Bundle").entries {
            let Change::Put { bytes, .. } = entry.change else { continue };
            let (peek, tree) = (peek(bytes).expect("a resource"), json::parse(bytes).expect("json"));
            assert_eq!(tree.get("resourceType").and_then(|v| v.as_str()), Some(&*peek.kind));
            assert_eq!(tree.get("id").and_then(|v| v.as_str()), peek.id.as_deref());
            for name in ["code", "status", "subject", "absent"] {
                let element = peek.element(name).expect("once").map(|raw| json::parse(raw).expect("json"));
                assert_eq!(element.as_ref(), tree.get(name));
            }
        }
    }
}

#[test]
fn the_providers_belong_to_no_patient() {
    let mut kinds = BTreeMap::<String, usize>::new();
    for line in bundles("synthea-r4/providers.bundles.ndjson.zst") {
        for entry in bundle::read(&line).expect("a Bundle").entries {
            let Change::Put { kind, bytes, .. } = entry.change else { panic!("no put") };
            let peek = peek(bytes).expect("a resource");
            assert!(peek.patients.is_empty() && !peek.patients_unclear);
            *kinds.entry(kind.to_string()).or_default() += 1;
        }
    }
    assert_eq!(kinds.keys().collect::<Vec<_>>(), ["Organization", "Practitioner"]);
}

#[test]
fn the_backport_notifications_say_what_changed() {
    let told = |name: &str| {
        let bytes = std::fs::read(data(&format!("subscriptions/{name}.json"))).expect("readable");
        let bundle = bundle::read(&bytes).expect("a Bundle");
        let told = bundle.entries.iter().map(|entry| match &entry.change {
            Change::Put { kind, id, .. } => format!("put {kind}/{}", id.as_deref().unwrap_or("?")),
            Change::Delete { kind, id } => format!("delete {kind}/{id}"),
            Change::Skip(why) => format!("skip {}", why.split(':').next().unwrap_or(why)),
            Change::Unreadable(e) => format!("unreadable {e}"),
        });
        told.collect::<Vec<_>>()
    };
    let status = "skip the subscription's own status";
    for name in ["handshake_bundle_example", "heartbeat_bundle_example", "empty_notification_bundle_example"] {
        assert_eq!(told(name), [status], "{name}");
    }
    assert_eq!(told("id_only_notification_bundle_example"), [status, "skip id-only"]);
    assert_eq!(told("full_resource_notification_bundle_example"), [status, "put Encounter/86009987-eabe-42bf-8c02-b112b18cb616"]);
}
