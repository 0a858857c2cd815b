//! Any text as an audience beside the shipped policy: a definition or problems with places, never a panic.
#![no_main]

use footbridge::config::{render, yaml};
use footbridge_core::audience::{self, Around, Times, Written};
use footbridge_core::problem::Problem;
use footbridge_core::time::Zone;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut problems = Vec::new();
    if let Some(document) = yaml::read("audiences/fuzz.yaml", text, &mut problems) {
        let zone = Zone::named("America/Chicago").expect("a zone of the bundled database");
        let around = Around {
            zone: &zone,
            recipients: &["crm"],
            times: Times::Exact,
            policy: "",
            valuesets: &[("mammography", "{}"), ("sensitive-hiv", "{}")],
            sensitive: &[1],
        };
        let written = Written { stem: "fuzz", text, document: &document };
        let catalogue = audience::read(&[written], &around, &mut problems);
        // Half a definition is none.
        assert!(catalogue.audiences.is_empty() || !problems.iter().any(Problem::is_error));
    }
    let sources = render::Sources::from([("audiences/fuzz.yaml".to_owned(), text.to_owned())]);
    let _ = render::for_people(&problems, &sources, false);
});
