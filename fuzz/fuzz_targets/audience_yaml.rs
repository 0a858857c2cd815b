//! Any text as an audience: problems with places, never a panic.
#![no_main]

use footbridge::config::yaml;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = yaml::read("audiences/fuzz.yaml", text);
});
