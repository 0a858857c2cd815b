//! Bad peers, full disks, wrong clocks: bounded, told, and over by itself.
//!
//! In: connections and signals. Out: nothing. Never here: something lost that was acknowledged.

use super::home::{Bridge, Home, PATIENCE, land, patient, until};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

#[test]
fn a_thousand_connections_at_once_are_bounded_and_the_others_are_served_after() {
    let home = Home::new("listen: { connections: 200, head_within: 2s }\nsources: { push: { baseline: start } }\n");
    let bridge = home.start();
    let idle: Vec<TcpStream> = (0..1000).map_while(|_| TcpStream::connect(&bridge.address).ok()).collect();
    assert!(idle.len() > 200, "{}", idle.len());
    let files = std::fs::read_dir(format!("/proc/{}/fd", bridge.process.id())).map(Iterator::count);
    // Where the system shows it: those beyond the bound are not accepted.
    if let Ok(files) = files {
        assert!(files < 200 + 100, "{files} descriptors");
    }
    // A request that comes after all of them is answered once those that say nothing are cut off.
    bridge.client().post("/fhir", "application/fhir+json", patient("ann", "1950-01-01").as_bytes()).expect("it is served");
    drop(idle);
    assert_eq!(bridge.told(), ["entered"]);
}

#[test]
fn stopped_for_a_while_it_goes_on_where_it_was() {
    let home = Home::new("sources: { push: { baseline: start } }\n");
    let bridge = home.start();
    bridge.push("push", &patient("ann", "1950-01-01"));
    bridge.settle();
    bridge.signal("-STOP");
    let mut socket = TcpStream::connect(&bridge.address).expect("the system takes the connection");
    let body = patient("bea", "1950-01-01");
    let head = "POST /fhir HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/fhir+json\r\n";
    write!(socket, "{head}content-length: {}\r\n\r\n{body}", body.len()).expect("the system takes the request");
    socket.set_read_timeout(Some(Duration::from_secs(1))).expect("a timeout");
    assert!(socket.read(&mut [0; 16]).is_err(), "who stands still acknowledges nothing");
    bridge.signal("-CONT");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(bridge.told(), ["entered", "entered"]);
    assert_eq!(bridge.ready(), Ok(()));
}

/// Free bytes where the data lies.
#[cfg(target_os = "linux")]
fn free(home: &Home) -> u64 {
    let space = rustix::fs::statvfs(home.0.path()).expect("a file system");
    space.f_bavail * space.f_frsize
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_takes_nothing_and_is_over_once_there_is_room() {
    let home = Home::new("");
    // Others write to the same disk: a margin that they do not use up meanwhile.
    let margin = (free(&home) / 4).min(4 << 30);
    let reserve = free(&home) - margin;
    home.lay("footbridge.yaml", format!("landing: {{ reserve: {reserve}B }}\nsources: {{ push: {{ baseline: start }}, drop: {{ kind: watch, folder: in, every: 1s, baseline: start }} }}\n"));
    let bridge = home.start();
    bridge.push("push", &patient("ann", "1950-01-01"));
    assert_eq!((bridge.told().len(), bridge.ready()), (1, Ok(())));
    let filler = std::fs::File::create(home.path("filler")).expect("a file");
    if rustix::fs::fallocate(&filler, rustix::fs::FallocateFlags::empty(), 0, 2 * margin).is_err() {
        eprintln!("this file system cannot be filled at once: nothing more was tested");
        return;
    }
    let body = patient("bea", "1950-01-01");
    let mut socket = TcpStream::connect(&bridge.address).expect("it listens");
    let head = "POST /fhir HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/fhir+json\r\n";
    write!(socket, "{head}content-length: {}\r\n\r\n{body}", body.len()).expect("it reads");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 503") && answer.to_ascii_lowercase().contains("retry-after: 5"), "{answer}");
    let why = bridge.ready().expect_err("it is not ready");
    assert!(why.contains("landing takes nothing") && why.contains("free space"), "{why}");
    // A file waits in its folder.
    home.lay("in/later.ndjson", patient("cleo", "1950-01-01"));
    until("the folder waits, too", || bridge.ready().is_err_and(|why| why.contains("source `drop`")));
    assert_eq!(bridge.told().len(), 1);
    std::fs::remove_file(home.path("filler")).expect("it is there");
    drop(filler);
    until("it takes again", || bridge.client().post("/fhir", "application/fhir+json", body.as_bytes()).is_ok());
    until("the file was taken, too", || home.path("in/done/later.ndjson").exists());
    assert_eq!(bridge.told(), ["entered", "entered", "entered"]);
    assert_eq!(bridge.ready(), Ok(()));
}

const POST: &str = "POST /fhir HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/fhir+";

/// What is answered on this connection, whatever else is still to be sent.
fn answer(socket: &mut TcpStream) -> String {
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut answer = Vec::new();
    // A reset after the answer is no matter.
    drop(socket.read_to_end(&mut answer));
    String::from_utf8_lossy(&answer).into_owned()
}

/// Others are served, and nothing stands still.
fn is_well(bridge: &Bridge, expected: usize) {
    assert_eq!(bridge.told(), vec!["entered"; expected]);
    assert_eq!(bridge.ready(), Ok(()));
}

#[test]
fn who_dribbles_a_head_or_a_body_holds_up_nobody_for_long() {
    let home =
        Home::new("listen: { connections: 20, head_within: 1s, body_idle: 1s, body_rate: 1KiB }\nsources: { push: { baseline: start } }\n");
    let bridge = home.start();
    // As many as there are places: a byte of a head now and then, which never ends.
    let mut heads: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(&bridge.address).expect("it listens")).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for byte in b"POST /fhir HTTP/1.1\r\nx-slow: ..............................\r\n" {
                heads.iter_mut().for_each(|socket| drop(socket.write_all(&[*byte])));
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        bridge.push("push", &patient("ann", "1950-01-01"));
    });
    // A body that comes often enough to be no silence, and too slowly to be one.
    let mut body = TcpStream::connect(&bridge.address).expect("it listens");
    write!(body, "{POST}json\r\ntransfer-encoding: chunked\r\n\r\n").expect("it reads");
    let mut sender = body.try_clone().expect("a socket");
    std::thread::spawn(move || {
        while sender.write_all(b"1\r\n \r\n").is_ok() {
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let said = answer(&mut body);
    assert!(said.starts_with("HTTP/1.1 408"), "{said}");
    is_well(&bridge, 1);
}

#[test]
fn a_body_that_never_ends_ends_at_its_bound() {
    let home = Home::new("listen: { body: 1MiB, line: 1MiB, stream: 4MiB }\nsources: { push: { baseline: start } }\n");
    let bridge = home.start();
    let spaces = vec![b' '; 1 << 16];
    let line = patient("ann", "2025-01-01");
    for (kind, part) in [("json", &spaces[..]), ("ndjson", &spaces[..]), ("ndjson", line.as_bytes())] {
        let mut socket = TcpStream::connect(&bridge.address).expect("it listens");
        write!(socket, "{POST}{kind}\r\ntransfer-encoding: chunked\r\n\r\n").expect("it reads");
        let mut sender = socket.try_clone().expect("a socket");
        let head = format!("{:x}\r\n", part.len());
        let sent = [head.as_bytes(), part, b"\r\n"].concat();
        std::thread::spawn(move || while sender.write_all(&sent).is_ok() {});
        let said = answer(&mut socket);
        assert!(said.starts_with("HTTP/1.1 413"), "{kind}: {said}");
    }
    bridge.push("push", &patient("bea", "1950-01-01"));
    is_well(&bridge, 1);
}

#[test]
fn a_gzip_bomb_is_refused_in_bounded_memory() {
    let home = Home::new("sources: { push: { baseline: start } }\n");
    let bridge = home.start();
    bridge.push("push", &patient("ann", "1950-01-01"));
    bridge.settle();
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    let spaces = vec![b' '; 1 << 20];
    (0..1024).for_each(|_| packed.write_all(&spaces).expect("memory"));
    let bomb = packed.finish().expect("memory");
    let before = bridge.memory();
    // A gigabyte each.
    for kind in ["json", "ndjson"] {
        let mut socket = TcpStream::connect(&bridge.address).expect("it listens");
        write!(socket, "{POST}{kind}\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", bomb.len()).expect("it reads");
        drop(socket.write_all(&bomb));
        let said = answer(&mut socket);
        assert!(said.starts_with("HTTP/1.1 413"), "{kind}: {said}");
    }
    // The body that is allowed, twice over while it grows.
    if let (Some(before), Some(after)) = (before, bridge.memory()) {
        assert!(after < before + 3 * 64, "{before} MB, then {after} MB");
    }
    is_well(&bridge, 1);
}

#[test]
fn a_clock_set_forward_and_back_by_an_hour_is_told_and_stops_nothing_for_good() {
    const HOUR: i64 = 3600;
    let home = Home::new("sources: { push: { baseline: start } }\n");
    let bridge = home.start();
    for (id, seconds, told) in [("ann", 0, 1), ("bea", HOUR, 2), ("cleo", 0, 3), ("dora", -HOUR, 4)] {
        home.set_clock(seconds);
        bridge.push("push", &patient(id, "1950-01-01"));
        is_well(&bridge, told);
    }
    // What was taken by a clock that was wrong, and set right before it was worked off, waits until the time has come.
    bridge.kill();
    home.set_clock(HOUR);
    land(&home, "push", &patient("eve", "1950-01-01"), 0);
    home.set_clock(0);
    let bridge = home.start();
    until("it says why it stands still", || bridge.ready().is_err_and(|why| why.contains("a record is stamped")));
    let out = home.command().args(["status", "--at", &bridge.address]).output().expect("it runs");
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.code() == Some(1) && said.contains("stands still: landing/"), "{said}");
    home.set_clock(HOUR);
    until("it goes on", || bridge.ready().is_ok());
    is_well(&bridge, 5);
}

#[cfg(target_os = "linux")]
#[test]
fn a_data_folder_that_is_read_only_is_named_and_goes_on_once_it_is_not() {
    let home = Home::new("sources: { push: { baseline: start } }\n");
    let bridge = home.start();
    bridge.push("push", &patient("ann", "1950-01-01"));
    bridge.kill();
    // In a namespace of its own the folder is mounted so; not every system lets a test do that.
    let mount = "mount --bind footbridge-data footbridge-data && mount -o remount,bind,ro footbridge-data";
    let in_namespace = |then: &str| {
        let mut command = Command::new("unshare");
        command.current_dir(home.0.path()).args(["-rm", "sh", "-c", &format!("{mount} && {then}")]);
        command.output()
    };
    if !in_namespace("true").is_ok_and(|out| out.status.success()) {
        eprintln!("no folder can be mounted here: nothing more was tested");
        return;
    }
    let program = env!("CARGO_BIN_EXE_footbridge");
    let run = format!("exec {program} run --config footbridge.yaml --listen 127.0.0.1:0 --partitions 4");
    let out = in_namespace(&run).expect("it runs");
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.code() == Some(3) && said.contains("footbridge-data") && said.contains("read-only"), "{said}");
    let bridge = home.start();
    is_well(&bridge, 1);
}
