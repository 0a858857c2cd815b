//! Bad input, on the real program: refused or quarantined with file, line and reason, in bounded memory, and the
//! healthy patients of the same run get exactly the events that they get alone.
//!
//! In: invented files. Out: a failed test that shows what the program said.
//! Never here: a patient's data in what is asserted of standard error; `SECRET` stands for all of it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Stands in every broken record where patient data would; it must never reach standard error.
const SECRET: &str = "Zzyzxia";
/// Peak resident memory that a run may reach, whatever one line or one Bundle holds.
const RECORD_MEGABYTES_MAX: u64 = 450;
/// The same where a whole file is one JSON value: the limit of 512 MB, and what stands around it.
const WHOLE_FILE_MEGABYTES_MAX: u64 = 650;

struct Ran {
    code: Option<i32>,
    /// Sorted by nothing: as printed.
    events: Vec<String>,
    errors: String,
    /// Peak resident set, in MB; 0 where the system does not tell.
    megabytes: u64,
}

impl Ran {
    fn of(&self, patient: &str) -> Vec<&str> {
        let named = format!("\"patient\":\"Patient/{patient}\"");
        self.events.iter().map(String::as_str).filter(|event| event.contains(&named)).collect()
    }
}

/// A folder of its own for the files of one run, gone at its end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name = format!("footbridge-bad-input-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a temporary folder");
        Folder(path)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).expect("a temporary file");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn simulate(arrival: &str, files: &[PathBuf]) -> Ran {
    let mappings = Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings");
    let mut child = Command::new(env!("CARGO_BIN_EXE_footbridge"))
        .args(["simulate", "--reveal", "--from", "2026-02-01T00:00:00Z", "--until", "2026-06-01T00:00:00Z", "--arrival", arrival])
        .arg("--mappings")
        .arg(mappings)
        .args(files)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let (mut out, mut err) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
    let out = std::thread::spawn(move || {
        let mut text = String::new();
        out.read_to_string(&mut text).map(|_| text)
    });
    let err = std::thread::spawn(move || {
        let mut text = String::new();
        err.read_to_string(&mut text).map(|_| text)
    });
    let mut megabytes = 0;
    let status = loop {
        megabytes = megabytes.max(peak_megabytes(child.id()));
        match child.try_wait().expect("a child to wait for") {
            Some(status) => break status,
            None => std::thread::sleep(std::time::Duration::from_millis(2)),
        }
    };
    let events = out.join().expect("a reader").expect("events in UTF-8").lines().map(str::to_owned).collect();
    let errors = err.join().expect("a reader").expect("errors in UTF-8");
    Ran { code: status.code(), events, errors, megabytes }
}

/// The high-water mark of a running process; 0 where there is no such file, or none any more.
fn peak_megabytes(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).map_or(0, |kilobytes| kilobytes / 1024)
}

/// A woman who is due for a mammogram on 1 March, and whoever else is told of by `id`.
fn patient(id: &str, rest: &str) -> String {
    format!(
        r#"{{"resourceType":"Patient","id":"{id}","gender":"female","birthDate":"1976-03-01","telecom":[{{"system":"email","value":"{id}@example.org"}}]{rest}}}"#
    )
}

const HEALTHY: [&str; 2] = ["ann", "bea"];

fn healthy() -> String {
    let mut text = String::new();
    for id in HEALTHY {
        writeln!(text, "{}", patient(id, "")).expect("a text");
    }
    text
}

/// Runs `bad` before and after the healthy patients, and alone-standing healthy patients: the same events, exit code,
/// no content on standard error.
fn beside(name: &str, bad: &[u8], code: i32, said: &[&str]) -> Ran {
    let folder = Folder::new();
    let good = folder.write("good.ndjson", healthy().as_bytes());
    let alone = simulate("start", std::slice::from_ref(&good));
    assert_eq!(alone.code, Some(0), "{}", alone.errors);
    for id in HEALTHY {
        assert!(!alone.of(id).is_empty(), "nothing to compare with: {}", alone.errors);
    }
    let bad = folder.write(name, bad);
    let before = simulate("start", &[bad.clone(), good.clone()]);
    let after = simulate("start", &[good, bad]);
    for ran in [&before, &after] {
        assert_eq!(ran.code, Some(code), "{name}: {}", ran.errors);
        for id in HEALTHY {
            assert_eq!(ran.of(id), alone.of(id), "{name}");
        }
        for said in said {
            assert!(ran.errors.contains(said), "{name}: `{said}` is not in\n{}", ran.errors);
        }
        assert!(!ran.errors.contains(SECRET), "{name}: content on standard error");
        let told = ran.errors.lines().filter(|line| line.contains(name)).count();
        assert_eq!(told == 0, code == 0, "{name}: {}", ran.errors);
        assert!(ran.megabytes <= RECORD_MEGABYTES_MAX, "{name}: {} MB", ran.megabytes);
    }
    before
}

/// As [`beside`], for one line of NDJSON between two patients of the same file, who are healthy too.
fn line(bad: &[u8], code: i32, said: &[&str]) -> Ran {
    let (carol, dora) = (patient("carol", ""), patient("dora", ""));
    let file = [carol.as_bytes(), b"\n", bad, b"\n", dora.as_bytes(), b"\n"].concat();
    let mut wanted = said.to_vec();
    if code == 1 {
        wanted.push("bad.ndjson:2");
    }
    let ran = beside("bad.ndjson", &file, code, &wanted);
    for id in ["carol", "dora"] {
        assert!(!ran.of(id).is_empty(), "{id} is harmed: {}", ran.errors);
    }
    ran
}

#[test]
fn a_line_that_is_no_json_is_refused_alone() {
    let whole = patient("eve", &format!(r#","name":[{{"family":"{SECRET}"}}]"#));
    line(&whole.as_bytes()[..whole.len() - 6], 1, &["not JSON at line 1"]);
    line(SECRET.as_bytes(), 1, &["not JSON at line 1"]);
    line(format!("\"{SECRET}\"").as_bytes(), 1, &["not JSON"]);
    line(b"[]", 1, &["not JSON"]);
    line(format!("{whole} {SECRET}").as_bytes(), 1, &["not JSON at line 1"]);
    line(patient("eve", &format!(r#","{SECRET}":tru"#)).as_bytes(), 1, &["not JSON at line 1"]);
    // A control character in a string that is read.
    line(patient("eve", "").replace("female", &format!("fe\u{1}{SECRET}")).as_bytes(), 1, &["not JSON"]);
    line(format!("\0\0{SECRET}\u{7}").as_bytes(), 1, &["not JSON"]);
}

#[test]
fn wrong_utf8_is_refused_wherever_it_stands() {
    for kind in ["Patient", "Procedure", "Wombat", "Bundle"] {
        let bad = [format!(r#"{{"resourceType":"{kind}","id":"{SECRET}","type":"batch","text":""#).as_bytes(), b"\xff\xc3\x28\"}"].concat();
        line(&bad, 1, &["not UTF-8 at byte"]);
    }
}

#[test]
fn nesting_of_10_000_is_refused() {
    for open in ["[", "{\"a\":"] {
        for kind in ["Patient", "Procedure", "Wombat"] {
            let deep =
                format!(r#"{{"resourceType":"{kind}","id":"eve","subject":{{"reference":"Patient/eve"}},"x":{}"#, open.repeat(10_000));
            line(deep.as_bytes(), 1, &["nested deeper than 64"]);
        }
        line(open.repeat(10_000).as_bytes(), 1, &[]);
        let entry = format!(
            r#"{{"resourceType":"Bundle","type":"collection","entry":[{{"resource":{{"resourceType":"Patient","id":"eve","x":{}"#,
            open.repeat(10_000)
        );
        line(entry.as_bytes(), 1, &["nested deeper than 64"]);
    }
}

#[test]
fn a_duplicate_key_is_refused_where_it_is_read_and_does_no_harm_elsewhere() {
    for twice in [r#","gender":"male""#, r#","birthDate":"1990-01-01""#, r#","id":"eve2""#, r#","resourceType":"Patient""#] {
        let ran = line(patient("eve", twice).as_bytes(), 1, &["stands twice"]);
        assert!(ran.of("eve").is_empty(), "{twice}: {:?}", ran.of("eve"));
    }
    let telecom = patient("eve", "").replace(r#""value":"eve@"#, r#""value":"other@example.org","value":"eve@"#);
    line(telecom.as_bytes(), 1, &["stands twice"]);
    let ran = line(patient("eve", &format!(r#","photo":["{SECRET}"],"photo":[]"#)).as_bytes(), 0, &[]);
    assert!(!ran.of("eve").is_empty(), "an element that nobody reads keeps nobody out");
}

#[test]
fn an_unknown_type_is_passed_over_and_no_type_is_refused() {
    line(format!(r#"{{"resourceType":"Wombat","id":"1","a":"{SECRET}"}}"#).as_bytes(), 0, &["1 of no interest"]);
    line(format!(r#"{{"resourceType":"{SECRET} 1"}}"#).as_bytes(), 1, &["`resourceType` is not the name of a type"]);
    line(format!(r#"{{"id":"{SECRET}"}}"#).as_bytes(), 1, &["`resourceType` is missing"]);
    line(br#"{"resourceType":7}"#, 1, &["`resourceType` is not a string"]);
}

fn procedure(id: &str, patient: &str, when: &str) -> String {
    format!(
        r#"{{"resourceType":"Procedure","id":"{id}","status":"completed","subject":{{"reference":"Patient/{patient}"}},"code":{{"coding":[{{"system":"http://snomed.info/sct","code":"24623002"}}]}},{when}}}"#
    )
}

fn consent(patient: &str, rest: &str) -> String {
    format!(
        r#"{{"resourceType":"Consent","id":"c-{patient}","status":"active","scope":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}}]}},"patient":{{"reference":"Patient/{patient}"}}{rest}}}"#
    )
}

/// The events of a healthy patient `eve` with one more record about her.
fn eve_with(record: &str, code: i32, said: &[&str]) -> usize {
    let bundle = format!(
        r#"{{"resourceType":"Bundle","type":"collection","entry":[{{"resource":{}}},{{"resource":{record}}}]}}"#,
        patient("eve", "")
    );
    line(bundle.as_bytes(), code, said).of("eve").len()
}

#[test]
fn a_wrong_date_closes_only_what_reads_it() {
    let permit = |period: &str| consent("eve", &format!(r#","provision":{{"type":"permit","period":{period}}}"#));
    assert!(eve_with(&permit(r#"{"start":"2020-01-01"}"#), 0, &[]) > 0, "the Consent itself keeps her in");
    for when in [r#""performedDateTime":"2023-13-45""#, r#""performedDateTime":"Zzyzxia""#, r#""performedPeriod":{"start":"20230101"}"#] {
        // It may be the mammogram of last month: possible, so she is not surely due.
        assert_eq!(eve_with(&procedure("p", "eve", when), 1, &["bad.ndjson:2 entry 2"]), 0, "{when}");
    }
    for period in [r#"{"end":"2026-02-30"}"#, r#"{"start":"Zzyzxia"}"#, r#"{"start":20200101}"#] {
        // What a permit may have meant keeps nobody out of what nobody denied; what a denial may have meant does.
        eve_with(&permit(period), 1, &["bad.ndjson:2 entry 2"]);
        let denial = permit(period).replace("permit", "deny");
        assert_eq!(eve_with(&denial, 1, &["bad.ndjson:2 entry 2"]), 0, "{period}");
    }
    // Nobody reads it.
    let unread = procedure("p", "eve", r#""performedDateTime":"2009-01-01","recorded":"Zzyzxia""#);
    assert!(eve_with(&unread, 0, &[]) > 0);
    for birth in ["1976-02-30", "Zzyzxia", "76"] {
        let ran = line(patient("eve", "").replace("1976-03-01", birth).as_bytes(), 1, &["birthDate` is not a date"]);
        assert!(ran.of("eve").is_empty(), "{birth}");
    }
    let ran = line(patient("eve", r#","deceasedDateTime":"Zzyzxia""#).as_bytes(), 1, &["deceasedDateTime` is not a date"]);
    assert!(ran.of("eve").is_empty(), "nobody knows that she lives");
}

#[test]
fn a_head_that_cannot_be_read_hides_nothing_of_its_patient() {
    // The version is in doubt, not whose Consent it is: the gate closes.
    for meta in [r#"{"lastUpdated":"Zzyzxia"}"#, r#"{"lastUpdated":7}"#, r#"{"versionId":1}"#, "7", r#"{"lastUpdated":"2026-01-01"}"#] {
        let denies = consent("eve", &format!(r#","meta":{meta},"provision":{{"type":"deny"}}"#));
        assert_eq!(eve_with(&denies, 1, &["bad.ndjson:2 entry 2", "`meta"]), 0, "{meta}");
        let dead = patient("eve", &format!(r#","deceasedBoolean":true,"meta":{meta}"#));
        assert_eq!(eve_with(&dead, 1, &["bad.ndjson:2 entry 2", "`meta"]), 0, "{meta}");
    }
}

#[test]
fn a_number_where_a_string_is_due_is_refused_where_it_is_read() {
    for (from, to) in
        [(r#""female""#, "7"), (r#""1976-03-01""#, "19760301"), (r#""eve""#, "7"), (r#""eve@example.org""#, "7"), (r#""email""#, "7")]
    {
        let ran = line(patient("eve", "").replace(from, to).as_bytes(), 1, &[]);
        assert!(ran.of("eve").is_empty(), "{from}");
    }
    let wrong = procedure("p", "eve", r#""performedDateTime":"2025-12-01""#);
    assert_eq!(eve_with(&wrong.replace(r#""completed""#, "7"), 1, &[]), 0);
    eve_with(&wrong.replace(r#""Patient/eve""#, "7"), 1, &[]);
    assert_eq!(eve_with(&consent("eve", "").replace(r#""active""#, "7"), 1, &[]), 0);
}

#[test]
fn empty_files_say_so() {
    for empty in [&b""[..], b"\n", b" \r\n\r\n", b"\xef\xbb\xbf"] {
        beside("bad.ndjson", empty, 1, &["bad.ndjson:1  the file is empty"]);
    }
    let folder = Folder::new();
    let ran = simulate("start", &[folder.0.join("absent.json"), folder.write("good.ndjson", healthy().as_bytes())]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.errors.contains("absent.json  cannot be opened"), "{}", ran.errors);
    assert!(!ran.of("ann").is_empty());
}

#[test]
fn crlf_and_a_byte_order_mark_are_read() {
    let text = format!("\u{feff}{}\r\n\r\n{}\r\n", patient("eve", ""), patient("fay", ""));
    let ran = beside("odd.ndjson", text.as_bytes(), 0, &[]);
    assert!(!ran.of("eve").is_empty() && !ran.of("fay").is_empty());
    let pretty = format!("\u{feff}{}\r\n", patient("eve", "").replace(',', ",\r\n"));
    assert!(!beside("odd.json", pretty.as_bytes(), 0, &[]).of("eve").is_empty());
}

#[test]
fn what_belongs_to_nobody_is_refused_or_harmless() {
    for patient in [
        r#""subject":{}"#,
        r#""patient":{"display":"Zzyzxia"}"#,
        r#""patient":{"reference":"urn:uuid:nowhere"}"#,
        r##""patient":{"reference":"#gone"}"##,
    ] {
        let nobody = consent("x", "").replace(r#""patient":{"reference":"Patient/x"}"#, patient);
        line(nobody.as_bytes(), 1, &["`the patient`"]);
    }
    let nobody = consent("x", "").replace(r#","patient":{"reference":"Patient/x"}"#, "");
    line(nobody.as_bytes(), 1, &["nobody's consent"]);
    line(
        procedure("p", "x", r#""performedDateTime":"2025-12-01""#).replace("Patient/x", "urn:uuid:nowhere").as_bytes(),
        1,
        &["`the patient`"],
    );
    // A Patient who is not in this feed, though perhaps elsewhere: nobody enters for it.
    let ran = line(procedure("p", "nobody", r#""performedDateTime":"2025-12-01""#).as_bytes(), 0, &[]);
    assert!(ran.of("nobody").is_empty());
}

#[test]
fn a_bundle_cut_off_in_the_middle_gives_nothing() {
    let entries: Vec<String> = (0..500).map(|n| format!(r#"{{"resource":{}}}"#, patient(&format!("{SECRET}{n}"), ""))).collect();
    let bundle = format!(r#"{{"resourceType":"Bundle","type":"collection","entry":[{}]}}"#, entries.join(","));
    for cut in [bundle.len() / 2, bundle.len() - 1, 80] {
        let ran = line(&bundle.as_bytes()[..cut], 1, &["not JSON at line 1"]);
        assert!(!ran.events.iter().any(|event| event.contains(SECRET)), "half a Bundle is none");
        let pretty = bundle[..cut].replace("{\"resource\"", "\n{\"resource\"");
        let ran = beside("bad.json", pretty.as_bytes(), 1, &["bad.json:1  not JSON at line"]);
        assert!(!ran.events.iter().any(|event| event.contains(SECRET)), "half a Bundle is none");
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(bytes).expect("memory");
    writer.finish().expect("memory")
}

#[test]
fn a_cut_off_archive_gives_what_came_before() {
    let mut text = String::new();
    for n in 0..3000 {
        writeln!(text, "{}", patient(&format!("p{}", n * 7919 % 10_007), "")).expect("a text");
    }
    let packed = [("bad.ndjson.gz", gzip(text.as_bytes())), ("bad.ndjson.zst", zstd::encode_all(text.as_bytes(), 1).expect("memory"))];
    for (name, packed) in packed {
        let ran = beside(name, &packed[..packed.len() - 9], 1, &["cannot be read from here on"]);
        let people: BTreeSet<&String> = ran.events.iter().collect();
        assert!(people.len() > HEALTHY.len(), "{name}: what came before is not lost");
        let mut damaged = packed.clone();
        for byte in &mut damaged[packed.len() / 2..packed.len() / 2 + 40] {
            *byte ^= 0x55;
        }
        beside(name, &damaged, 1, &[name]);
        beside(name, &packed[..12], 1, &["cannot be read from here on"]);
    }
}

#[test]
fn a_line_of_200_megabytes_is_passed_over_in_bounded_memory() {
    let long = patient("eve", &format!(r#","text":"{}""#, SECRET.repeat((200 << 20) / SECRET.len())));
    line(long.as_bytes(), 1, &["longer than the"]);
    beside("first.ndjson", format!("{long}\n{}\n", patient("eve", "")).as_bytes(), 1, &["first.ndjson:1  longer than the"]);
}

#[test]
fn an_archive_that_unpacks_to_gigabytes_is_read_in_bounded_memory() {
    /// So many megabytes of `text`, packed as they are made.
    fn bomb(head: &str, text: &str, megabytes: usize) -> Vec<u8> {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let block = text.repeat((1 << 20) / text.len());
        writer.write_all(head.as_bytes()).expect("memory");
        for _ in 0..megabytes {
            writer.write_all(block.as_bytes()).expect("memory");
        }
        writer.finish().expect("memory")
    }
    beside("one-line.gz", &bomb("", SECRET, 700), 1, &["one-line.gz:1  longer than the"]);
    beside("no-lines.gz", &bomb("", "\n", 500), 1, &["the file is empty"]);
    let folder = Folder::new();
    let good = folder.write("good.ndjson", healthy().as_bytes());
    let whole = folder.write("whole.gz", &bomb("{\n\"resourceType\":\n", " \n", 600));
    let ran = simulate("start", &[whole, good]);
    assert_eq!(ran.code, Some(1), "{}", ran.errors);
    assert!(ran.errors.contains("whole.gz:1  longer than the 536870912 bytes"), "{}", ran.errors);
    assert!(!ran.of("ann").is_empty());
    assert!(ran.megabytes <= WHOLE_FILE_MEGABYTES_MAX, "{} MB", ran.megabytes);
}

#[test]
fn a_file_of_nothing_but_broken_lines_is_read_in_bounded_memory() {
    let ran = beside(
        "broken.ndjson",
        format!("{{}}\n{}", "x\n".repeat(1 << 19)).as_bytes(),
        1,
        &["broken.ndjson:524289  not JSON", "524289 refused"],
    );
    assert!(ran.megabytes <= 100, "{} MB", ran.megabytes);
}

#[test]
fn a_bundle_of_100_000_entries_is_read_in_bounded_memory() {
    let mut bundle = format!(r#"{{"resourceType":"Bundle","type":"collection","entry":[{{"resource":{}}}"#, patient("eve", ""));
    for n in 0..100_000 {
        let when = if n == 70_000 { r#""performedDateTime":7"# } else { r#""performedDateTime":"2009-01-01""# };
        write!(bundle, r#",{{"resource":{}}}"#, procedure(&format!("p{n}"), &format!("q{}", n % 999), when)).expect("a text");
    }
    bundle.push_str("]}");
    let ran = line(bundle.as_bytes(), 1, &["bad.ndjson:2 entry 70002", "1 refused"]);
    assert!(!ran.of("eve").is_empty(), "one broken entry harms no other");
}
