//! Any bytes as a resource: read or refused, and what is refused says nothing of its content.
#![no_main]

use footbridge_core::fhir::json;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Err(unreadable) = json::parse(bytes) {
        let _ = format!("{unreadable:?}");
    }
});
