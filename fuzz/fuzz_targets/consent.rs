//! Any JSON as a Consent: read or refused, never a panic.
#![no_main]

use footbridge_core::{consent, fhir::json, time::Zone};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let zone = Zone::named("America/Chicago").expect("a zone of the bundled database");
    if let Ok(resource) = json::parse(bytes) {
        let _ = consent::read(&resource, &zone);
    }
});
