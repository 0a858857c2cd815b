//! TLS of the listener: who is served, which files are taken.
//!
//! In: certificates of the test's own. Out: nothing. Never here: a certificate of anybody else.

use super::home::{Home, PATIENCE, patient, until};
use footbridge::console::client::Client;
use std::io::Read;
use std::net::TcpStream;

struct Certificate {
    certificate: String,
    key: String,
}

fn certificate() -> Certificate {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into(), "127.0.0.1".into()]).expect("a certificate");
    Certificate { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() }
}

#[test]
fn over_tls_who_trusts_the_authority_is_served_and_nobody_else() {
    let Certificate { certificate: pem, key } = certificate();
    let home = Home::new(
        "listen: { tls: { certificate: c.pem, key: k.pem }, token_file: token, handshake_within: 1s }\nsources: { push: { baseline: start } }\n",
    );
    home.lay("c.pem", &pem);
    home.lay("k.pem", key);
    home.lay("token", "a-token-for-this-test");
    let bridge = home.start();
    let address = bridge.address.strip_prefix("https://").expect("it says https").to_owned();
    // A peer that says nothing holds up no other, and is cut off.
    let mut silent = TcpStream::connect(&address).expect("it listens");
    let trusting = Client::trusting(&bridge.address, Some("a-token-for-this-test".into()), pem.as_bytes()).expect("PEM");
    let ann = patient("ann", "1950-01-01");
    trusting.post("/fhir", "application/fhir+json", ann.as_bytes()).expect("it is taken");
    assert!(trusting.get("/readyz").is_ok());
    silent.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    assert!(matches!(silent.read(&mut [0]), Ok(0) | Err(_)), "nothing may be said to it");
    let nameless = Client::trusting(&bridge.address, None, pem.as_bytes()).expect("PEM");
    assert!(nameless.get("/status").err().is_some_and(|why| why.to_string().contains("401")));
    let other = Client::trusting(&bridge.address, None, self::certificate().certificate.as_bytes()).expect("PEM");
    assert!(other.get("/healthz").is_err(), "another authority does not vouch for it");
    assert!(Client::new(&address, None).get("/healthz").is_err(), "in the clear it answers nothing");
    let metrics = String::from_utf8(trusting.get("/metrics").expect("metrics").body).expect("UTF-8");
    assert!(metrics.contains("footbridge_tls_failures_total{reason=\"slow\"} 1\n"), "{metrics}");
    // The commands ask the same way.
    home.lay("ca.pem", pem);
    let asked = |more: &[&str]| {
        let args = ["status", "--url", &bridge.address, "--token-file", "token"];
        home.command().args(args).args(more).output().expect("it runs")
    };
    let out = asked(&["--ca", "ca.pem"]);
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(String::from_utf8_lossy(&asked(&[]).stderr).contains("--ca FILE"));
}

#[test]
fn tls_files_that_cannot_be_used_are_named() {
    let (one, other) = (certificate(), certificate());
    let home = Home::new("listen: { tls: { certificate: c.pem, key: k.pem } }\n");
    let cannot = |expected: &str| {
        let said = home.try_start().err().expect("it does not start").join("\n");
        assert!(said.contains(expected), "{expected}: {said}");
    };
    cannot("c.pem: cannot be read");
    home.lay("c.pem", "no PEM");
    home.lay("k.pem", "no PEM");
    cannot("c.pem: holds no certificate");
    home.lay("c.pem", &one.certificate);
    cannot("k.pem: holds no private key");
    home.lay("k.pem", other.key);
    cannot("k.pem: is not the key of the certificate in");
    home.lay("c.pem", one.certificate.replace("MII", "AAA"));
    home.lay("k.pem", one.key);
    cannot("c.pem: its first certificate cannot be read");
}

#[test]
fn a_renewed_certificate_is_taken_over_without_a_restart_and_a_broken_one_is_not() {
    let home = Home::new("listen: { tls: { certificate: c.pem, key: k.pem } }\nsources: { push: { baseline: start } }\n");
    let (one, other) = (certificate(), certificate());
    home.lay("c.pem", &one.certificate);
    home.lay("k.pem", &one.key);
    let bridge = home.start();
    let serves = |trusted: &Certificate| {
        Client::trusting(&bridge.address, None, trusted.certificate.as_bytes()).expect("PEM").get("/healthz").is_ok()
    };
    assert!(serves(&one) && !serves(&other));
    home.lay("c.pem", &other.certificate);
    home.lay("k.pem", &other.key);
    until("the new one is in use", || serves(&other));
    assert!(!serves(&one));
    home.lay("c.pem", "no PEM");
    let trusting = Client::trusting(&bridge.address, None, other.certificate.as_bytes()).expect("PEM");
    let metrics = || String::from_utf8(trusting.get("/metrics").expect("metrics").body).expect("UTF-8");
    until("the broken one is told", || metrics().contains("footbridge_certificates_total{outcome=\"refused\"} 1\n"));
    assert!(serves(&other));
    assert!(metrics().contains("footbridge_certificates_total{outcome=\"used\"} 1\n"));
}
