//! Any text as a criterion: compiled or refused, never a panic.
#![no_main]

use footbridge_core::fhirpath;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for kind in ["Patient", "Observation"] {
        let _ = fhirpath::compile(text, kind, &|_| None);
    }
});
