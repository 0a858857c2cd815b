//! Push over a real socket: what is answered, when, and what a bad peer costs.
//!
//! In: requests as bytes. Out: statuses, and what landing has by then. Never here: a patient who is not invented.

use flate2::Compression;
use flate2::write::GzEncoder;
use footbridge::config::files::Files;
use footbridge::config::mappings::{self, Mappings};
use footbridge::demo::shipped;
use footbridge::log::{Done, Entry, Full, Kind, Landing, LogError, Stamped};
use footbridge::source::intake::{Intake, Source};
use footbridge::source::landing::Partitions;
use footbridge::source::push::{self, Push, PushSettings, Token};
use footbridge::source::{Keep, ReadBy};
use footbridge_core::audience::Definitions;
use footbridge_core::fhir::Versions;
use footbridge_core::gate::MemberKey;
use footbridge_core::key::Keys;
use footbridge_core::time::Instant;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How landing behaves.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Takes,
    Full,
    Fails,
    /// Keeps what it is given until the test answers.
    Waits,
}

struct Shelf {
    mood: Mutex<Mood>,
    taken: Mutex<Vec<Vec<Entry>>>,
    waiting: Mutex<Vec<(Vec<Entry>, Done)>>,
}

const STAMP: Stamped = Stamped { at: Instant::from_micros(0) };

impl Landing for Shelf {
    fn append(&self, entries: Vec<Entry>, done: Done) -> Result<(), Full> {
        let mood = *self.mood.lock().expect("whole");
        match mood {
            Mood::Full => return Err(Full { entries, done }),
            Mood::Fails => done(Err(LogError::refused("landing", "a test says so").retriable("wait"))),
            Mood::Waits => self.waiting.lock().expect("whole").push((entries, done)),
            Mood::Takes => {
                self.taken.lock().expect("whole").push(entries);
                done(Ok(STAMP));
            }
        }
        Ok(())
    }
}

struct Bridge {
    address: SocketAddr,
    shelf: Arc<Shelf>,
    stop: Arc<tokio::sync::Notify>,
    runtime: tokio::runtime::Runtime,
    member: String,
    server: tokio::task::JoinHandle<()>,
}

fn bridge(change: impl FnOnce(&mut PushSettings)) -> Bridge {
    let mut settings = PushSettings { busy_wait: Duration::ZERO, ..PushSettings::default() };
    change(&mut settings);
    let Mappings { catalogue, policy, valuesets, .. } =
        mappings::read_files(&Files::Texts(shipped::MAPPINGS)).mappings.expect("the shipped mappings are right");
    let recipients: Vec<_> =
        policy.recipients.iter().map(|one| (one.key.clone(), MemberKey::new(&one.key, 1, b"a member secret of tests"))).collect();
    let keys = Keys::new(b"a routing secret of tests");
    let member = recipients[0].1.member(keys.person("", "ann"));
    let source = Source { name: "push".into(), namespace: String::new(), versions: Versions::LastUpdated };
    let definitions = Arc::new(Definitions::new(catalogue, policy, valuesets));
    let intake = Arc::new(Intake { read_by: ReadBy::new(definitions, Keep::Read), keys, partitions: Partitions(4), sources: vec![source] });
    let shelf = Arc::new(Shelf { mood: Mutex::new(Mood::Takes), taken: Mutex::default(), waiting: Mutex::default() });
    let settings = Arc::new(settings);
    let landing: Arc<dyn Landing> = Arc::<Shelf>::clone(&shelf);
    let recipients = Box::new(move || recipients.clone());
    let push = Arc::new(Push { intake, landing, recipients, marked: Box::new(|_| Ok(())), settings: Arc::clone(&settings) });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
    let address = listener.local_addr().expect("an address");
    let stop = Arc::new(tokio::sync::Notify::new());
    let told = Arc::clone(&stop);
    let routes = push::routes(push).fallback(push::nowhere);
    let server = runtime.spawn(async move {
        push::serve(listener, routes, settings, async move { told.notified().await }).await.expect("loopback");
    });
    Bridge { address, shelf, stop, runtime, member, server }
}

impl Bridge {
    fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(self.address).expect("it listens");
        socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        socket
    }

    /// Status, head and body of the answer to one request.
    fn ask(&self, line: &str, headers: &str, body: &[u8]) -> Answer {
        let mut socket = self.connect();
        let head = format!("{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
        socket.write_all(head.as_bytes()).expect("it reads");
        // It may answer before it has read all.
        drop(socket.write_all(body));
        answer(&mut socket)
    }

    fn post(&self, body: &str) -> Answer {
        self.ask("POST /fhir", JSON, body.as_bytes())
    }

    fn taken(&self) -> usize {
        self.shelf.taken.lock().expect("whole").iter().map(Vec::len).sum()
    }

    fn mood(&self, mood: Mood) {
        *self.shelf.mood.lock().expect("whole") = mood;
    }
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

fn answer(socket: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    // A reset after the answer is no matter.
    drop(socket.read_to_end(&mut bytes));
    let text = String::from_utf8(bytes).expect("text");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

const JSON: &str = "content-type: application/fhir+json\r\n";
const LINES: &str = "content-type: application/fhir+ndjson\r\n";
const ANN: &str = r#"{"resourceType":"Patient","id":"ann","meta":{"lastUpdated":"2026-01-01T00:00:00Z"},"gender":"female"}"#;

#[test]
fn each_request_has_its_answer() {
    let bridge = bridge(|settings| settings.body_bytes_max = 4096);
    let long = format!(r#"{{"resourceType":"Patient","id":"ann","x":"{}"}}"#, "x".repeat(5000));
    let watermark = r#"{"completeTo":"2026-01-01T00:00:00Z"}"#;
    let table: [(&str, &str, &str, u16, &str); 21] = [
        ("POST /fhir", JSON, ANN, 200, "informational"),
        ("POST /fhir", "content-type: Application/JSON; charset=utf-8\r\n", ANN, 200, "informational"),
        ("POST /sources/push/fhir", JSON, ANN, 200, "informational"),
        ("POST /sources/lab/fhir", JSON, ANN, 404, "not-found"),
        ("POST /fhir", "content-type: text/plain\r\n", ANN, 415, "not-supported"),
        ("POST /fhir", "", ANN, 415, "not-supported"),
        ("POST /fhir", "content-type: application/json\r\ncontent-encoding: br\r\n", ANN, 415, "not-supported"),
        ("POST /fhir", "content-type: application/json\r\ncontent-encoding: gzip\r\n", ANN, 400, "incomplete"),
        ("POST /fhir", JSON, "{\"resourceType\":", 422, "structure"),
        ("POST /fhir", JSON, "", 422, "structure"),
        ("POST /fhir", JSON, &long, 413, "too-long"),
        ("PUT /fhir/Patient/ann", JSON, ANN, 200, ""),
        ("PUT /fhir/Patient/ben", JSON, ANN, 400, "invalid"),
        ("PUT /fhir/Observation/ann", JSON, ANN, 400, "invalid"),
        ("PUT /fhir/Patient/ann", LINES, ANN, 415, "not-supported"),
        ("DELETE /fhir/Patient/ann", "", "", 204, ""),
        ("DELETE /fhir/Patient/an%20n", "", "", 400, "invalid"),
        ("POST /sources/push/baseline", "", "", 204, ""),
        ("POST /sources/push/watermark", JSON, watermark, 204, ""),
        ("POST /sources/push/watermark", JSON, r#"{"completeTo":"soon"}"#, 400, "invalid"),
        ("GET /nowhere", "", "", 404, "not-found"),
    ];
    for (line, headers, body, status, code) in table {
        let answer = bridge.ask(line, headers, body.as_bytes());
        assert_eq!(answer.status, status, "{line} {headers} {}", answer.body);
        assert!(answer.body.contains(code), "{line}: {}", answer.body);
        assert!(code.is_empty() || answer.body.starts_with(r#"{"resourceType":"OperationOutcome""#), "{line}: {}", answer.body);
    }
}

#[test]
fn two_hundred_comes_only_once_landing_has_it() {
    let bridge = bridge(|_| {});
    bridge.mood(Mood::Waits);
    let mut socket = bridge.connect();
    let request = format!("POST /fhir HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{JSON}content-length: {}\r\n\r\n{ANN}", ANN.len());
    socket.write_all(request.as_bytes()).expect("it reads");
    let (_, done) = loop {
        if let Some(one) = bridge.shelf.waiting.lock().expect("whole").pop() {
            break one;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    socket.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
    assert!(socket.read(&mut [0; 1]).is_err(), "nothing is said before it is durable");
    // A stop waits for what is in hand.
    bridge.stop.notify_one();
    std::thread::sleep(Duration::from_millis(100));
    done(Ok(STAMP));
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    assert_eq!(answer(&mut socket).status, 200);
    bridge.runtime.block_on(bridge.server).expect("it stopped");
    assert!(TcpStream::connect(bridge.address).is_err());
}

#[test]
fn a_full_queue_and_a_failing_log_ask_to_come_again() {
    let bridge = bridge(|_| {});
    for (mood, status, code) in [(Mood::Full, 429, "throttled"), (Mood::Fails, 503, "transient")] {
        bridge.mood(mood);
        for (line, headers) in [("POST /fhir", JSON), ("POST /fhir", LINES), ("PUT /fhir/Patient/ann", JSON)] {
            let answer = bridge.ask(line, headers, ANN.as_bytes());
            assert_eq!((answer.status, answer.body.contains(code)), (status, true), "{line} {}", answer.body);
            assert!(answer.head.contains("retry-after: "), "{}", answer.head);
        }
    }
    assert_eq!(bridge.taken(), 0);
}

#[test]
fn without_the_token_nothing_is_taken_or_told() {
    let bridge = bridge(|settings| settings.token = Some(Token::new("a token of the tests")));
    for given in ["", "authorization: Bearer a token of the test\r\n", "authorization: Basic a token of the tests\r\n"] {
        for line in ["POST /fhir", "GET /metrics", "GET /readyz", "GET /nowhere"] {
            let answer = bridge.ask(line, &format!("{JSON}{given}"), ANN.as_bytes());
            assert_eq!((answer.status, answer.body.contains("login")), (401, true), "{line} {given}");
        }
    }
    assert_eq!(bridge.taken(), 0);
    assert_eq!(bridge.ask("GET /healthz", "", b"").status, 200);
    let right = format!("{JSON}authorization: bearer a token of the tests\r\n");
    assert_eq!(bridge.ask("POST /fhir", &right, ANN.as_bytes()).status, 200);
}

#[test]
fn beyond_loopback_it_does_not_start_without_a_token_and_tls() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.expect("a port");
        let refused = push::serve(listener, axum::Router::new(), Arc::default(), std::future::ready(())).await;
        assert!(refused.expect_err("refused").to_string().contains("set a token"));
        let with_token = PushSettings { token: Some(Token::new("a token for a test")), ..PushSettings::default() };
        for (behind_proxy, starts) in [(false, false), (true, true)] {
            let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.expect("a port");
            let settings = Arc::new(PushSettings { behind_proxy, ..with_token.clone() });
            let done = push::serve(listener, axum::Router::new(), settings, std::future::ready(())).await;
            assert_eq!(done.is_ok(), starts, "{done:?}");
        }
    });
}

#[test]
fn of_a_stream_the_broken_line_is_named_and_the_rest_is_taken() {
    let bridge = bridge(|settings| settings.part_bytes = 150);
    let body = format!("{ANN}\n\n{{\"resourceType\":\"Patient\",\n{}\n{ANN}", ANN.replace("ann", "ben"));
    let answer = bridge.ask("POST /fhir", LINES, body.as_bytes());
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("4 resources, 0 of no interest, 1 in quarantine"), "{}", answer.body);
    assert!(answer.body.contains(r#""expression":["line 3"]"#), "{}", answer.body);
    assert_eq!(bridge.taken(), 4);
    let metrics = bridge.ask("GET /metrics", "", b"");
    assert!(metrics.body.contains("footbridge_unreadable_total{source=\"push\",reason=\"form\"}"), "{}", metrics.body);
    assert!(metrics.body.contains("footbridge_http_requests_total{route=\"/fhir\",status=\"200\"}"), "{}", metrics.body);
}

#[test]
fn a_line_that_is_too_long_ends_the_stream() {
    let bridge = bridge(|settings| (settings.part_bytes, settings.line_bytes_max) = (100, 1000));
    let body = format!("{ANN}\n{}\n", "x".repeat(200_000));
    let answer = bridge.ask("POST /fhir", LINES, body.as_bytes());
    assert_eq!((answer.status, answer.body.contains("a line of more than 1000 bytes")), (413, true), "{}", answer.body);
}

#[test]
fn what_a_bundle_says_of_a_person_is_one_group_and_each_entry_is_answered() {
    let bridge = bridge(|_| {});
    let procedure = |id: &str, of: &str| {
        format!(
            r#"{{"request":{{"method":"PUT","url":"Procedure/{id}"}},"resource":{{"resourceType":"Procedure","id":"{id}","subject":{{"reference":"Patient/{of}"}}}}}}"#
        )
    };
    let bundle = |kind: &str, more: &str| {
        format!(
            r#"{{"resourceType":"Bundle","type":"{kind}","entry":[{},{},{}{more}]}}"#,
            procedure("1", "ann"),
            procedure("2", "ben"),
            procedure("3", "ann")
        )
    };
    let answer = bridge.post(&bundle("transaction", ""));
    assert_eq!(answer.status, 200);
    assert!(answer.body.starts_with(r#"{"resourceType":"Bundle","type":"transaction-response","entry":[{"response":{"status":"200"}},"#));
    assert_eq!(bridge.post(&bundle("collection", "")).status, 200);
    let groups: Vec<Vec<bool>> =
        bridge.shelf.taken.lock().expect("whole").iter().map(|one| one.iter().map(|entry| entry.headers.more).collect()).collect();
    assert_eq!(groups, [[true, false, false], [true, false, false]], "one append a Bundle; of ann all but the last are followed by more");
    let broken = r#",{"request":{"method":"PUT","url":"Procedure/4"},"resource":{"resourceType":"Procedure","id":4}}"#;
    let answer = bridge.post(&bundle("batch", broken));
    assert_eq!((answer.status, answer.body.matches(r#""status":"422""#).count()), (200, 1), "{}", answer.body);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(bytes).expect("memory");
    packed.finish().expect("memory")
}

#[test]
fn gzip_is_unpacked_and_a_bomb_is_not() {
    let bridge = bridge(|settings| (settings.body_bytes_max, settings.line_bytes_max) = (1 << 20, 1 << 20));
    let packed = |kind: &str| format!("{kind}content-encoding: gzip\r\n");
    assert_eq!(bridge.ask("POST /fhir", &packed(JSON), &gzip(ANN.as_bytes())).status, 200);
    assert_eq!(bridge.ask("POST /fhir", &packed(LINES), &gzip(ANN.as_bytes())).status, 200);
    assert_eq!(bridge.taken(), 2);
    let bomb = gzip(&vec![b' '; 64 << 20]);
    assert!(bomb.len() < 100_000, "{}", bomb.len());
    for kind in [JSON, LINES] {
        assert_eq!(bridge.ask("POST /fhir", &packed(kind), &bomb).status, 413);
    }
    let cut = gzip(ANN.as_bytes());
    assert_eq!(bridge.ask("POST /fhir", &packed(JSON), &cut[..cut.len() - 6]).status, 400);
    assert_eq!(bridge.taken(), 2);
}

#[test]
fn who_sends_slowly_is_cut_off() {
    let bridge = bridge(|settings| {
        settings.head_within = Duration::from_millis(300);
        settings.body_idle = Duration::from_millis(300);
    });
    let mut head = bridge.connect();
    head.write_all(b"POST /fhir HTTP/1.1\r\nhost:").expect("it reads");
    assert_eq!(answer(&mut head).status, 0, "cut off without an answer, or with 408 of the protocol's own");
    let mut body = bridge.connect();
    let request = format!("POST /fhir HTTP/1.1\r\nhost: x\r\n{JSON}content-length: 100\r\n\r\n{{");
    body.write_all(request.as_bytes()).expect("it reads");
    assert_eq!(answer(&mut body).status, 408);
}

#[test]
fn beyond_the_bound_a_connection_waits_for_a_place() {
    let bridge = bridge(|settings| (settings.connections_max, settings.head_within) = (2, Duration::from_millis(700)));
    let idle = [bridge.connect(), bridge.connect()];
    std::thread::sleep(Duration::from_millis(100));
    // It is answered once the idle ones were cut off.
    assert_eq!(bridge.ask("GET /healthz", "", b"").status, 200);
    for mut one in idle {
        assert_eq!(one.read(&mut [0; 1]).expect("closed in order"), 0);
    }
}

#[test]
fn preferences_are_taken_all_or_none() {
    let bridge = bridge(|_| {});
    let member = &bridge.member;
    let right = format!(r#"{{"recipient":"crm","channel":"sms","what":"opt-out","member":"{member}"}}"#);
    let ask = |body: &str| bridge.ask("POST /preferences", "content-type: application/json\r\n", body.as_bytes());
    assert_eq!(ask(&right).status, 204);
    assert_eq!(ask(&format!("[{right},{}]", right.replace("opt-out", "bounce"))).status, 204);
    assert_eq!(ask(&right.replace(r#""recipient":"crm","#, "")).status, 204);
    let taken: Vec<Kind> = bridge.shelf.taken.lock().expect("whole").iter().flatten().map(|entry| entry.headers.kind).collect();
    assert_eq!(taken, [Kind::Preference; 4]);
    let made_up = format!("{}A", &member[..member.len() - 1]);
    for (wrong, status) in [
        (format!("[{right},{}]", right.replace("sms", "fax")), 422),
        (right.replace("opt-out", "gone"), 422),
        (right.replace("crm", "nobody"), 422),
        (right.replace(member, "k1.x"), 422),
        (right.replace(member, &made_up), if made_up == *member { 204 } else { 422 }),
        (right.replace("recipient", "recipent"), 400),
        ("{".into(), 400),
        (String::new(), 400),
        (r#"{"channel":"sms","what":"opt-out"}"#.into(), 422),
        (right.replace(r#""member""#, r#""contact":"+13125550100","member""#), 422),
        (r#"{"channel":"sms","what":"opt-out","contact":"312"}"#.into(), 422),
        (r#"{"channel":"sms","what":"opt-out","contact":"3125550100@example.org"}"#.into(), 422),
        (r#"{"channel":"email","what":"opt-out","contact":"+13125550100"}"#.into(), 422),
        (r#"{"recipient":"nobody","channel":"sms","what":"opt-out","contact":"+13125550100"}"#.into(), 422),
    ] {
        let answer = ask(&wrong);
        assert_eq!(answer.status, status, "{}", answer.body);
        assert!(!answer.body.contains("312"), "no contact is repeated");
    }
    assert_eq!(bridge.taken(), 4);
}

#[test]
fn a_preference_by_contact_goes_to_every_partition_at_once_and_says_no_contact() {
    let bridge = bridge(|_| {});
    let ask = |body: &str| bridge.ask("POST /preferences", "content-type: application/json\r\n", body.as_bytes());
    let report = |what: &str, contact: &str| format!(r#"{{"recipient":"crm","channel":"sms","what":"{what}","contact":"{contact}"}}"#);
    assert_eq!(ask(&report("opt-out", "+1 312 555 0100")).status, 204);
    assert_eq!(ask(&report("opt-in", "(312) 555-0100")).status, 204);
    assert_eq!(ask(&report("opt-out", "+1 312 555 0199")).status, 204);
    assert_eq!(ask(&report("opt-out", "+1 312 555 0199").replace(r#""recipient":"crm","#, "")).status, 204);
    assert_eq!(ask(r#"{"channel":"email","what":"bounce","contact":"Ann@Example.org"}"#).status, 204);
    {
        let taken = bridge.shelf.taken.lock().expect("whole");
        let places: Vec<usize> = taken.iter().map(|one| one.iter().map(|entry| entry.place).collect::<BTreeSet<_>>().len()).collect();
        assert_eq!(places, [4; 5], "one append each");
        let entries: Vec<&Entry> = taken.iter().flatten().collect();
        assert!(entries.iter().all(|entry| entry.headers.kind == Kind::ContactPreference));
        let keys: BTreeSet<&[u8]> = entries.iter().map(|entry| entry.key.as_slice()).collect();
        assert_eq!(keys.len(), 4, "the newest of a contact, recipient and channel takes the place of those before");
        let holds = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|part| part.eq_ignore_ascii_case(text.as_bytes()));
        for text in ["5550100", "555 0100", "555-0100", "5550199", "ann@example"] {
            assert!(!entries.iter().any(|entry| holds(&entry.value, text) || holds(&entry.key, text)), "{text}");
        }
    }
    let many = format!("[{}]", vec![report("opt-out", "3125550100"); 1001].join(","));
    assert_eq!((ask(&many).status, bridge.taken()), (413, 20));
}
