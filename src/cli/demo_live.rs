//! The second half of the demonstration: the same people, now over HTTP into a bridge that really runs.
//!
//! In: a seed. Out: a story of what the bridge did, measured where time matters. Never here: an outcome that is only asserted; a
//! scene that does not happen as told fails the command.

use crate::console::client::{Client, value};
use crate::console::started;
use crate::demo::population;
use anyhow::{Context, bail, ensure};
use footbridge_core::fhir::peek;
use footbridge_core::gate::MemberKey;
use footbridge_core::key::Keys;
use footbridge_core::time::{Instant, Span};
use sonic_rs::{JsonContainerTrait, JsonValueMutTrait, JsonValueTrait, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant as Stopwatch};

/// Secrets of nobody: with them the same seed tells the same story.
const ROUTING: &[u8; 32] = b"the demo's routing secret, known";
const MEMBERS: &[u8; 32] = b"the demo's members secret, known";
const PART: usize = 200;
const AUDIENCE: &str = "annual-wellness-visit-due";
/// Only there with Kafka.
const CONFIG: &str = "footbridge.yaml";
/// Longer than anything here takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

struct Live {
    folder: PathBuf,
    process: Child,
    client: Client,
}

/// The folder goes, and the bridge with it, however the story ends.
impl Drop for Live {
    fn drop(&mut self) {
        // Gone already, or going: either is what is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn start(folder: &Path) -> anyhow::Result<(Child, Client)> {
    let program = std::env::current_exe().context("this program's own file")?;
    let mut command = Command::new(program);
    command.current_dir(folder).args(["run", "--data", "data", "--listen", "127.0.0.1:0", "--partitions", "8"]);
    if folder.join(CONFIG).exists() {
        command.args(["--config", CONFIG]);
    }
    match started(&mut command) {
        Ok((process, address)) => Ok((process, Client::new(&address, None))),
        Err(said) => bail!("the bridge did not start: {}", said.join("; ")),
    }
}

impl Live {
    /// `kafka`: brokers to keep everything on, under a prefix of this run's own.
    fn begin(kafka: Option<&str>) -> anyhow::Result<Live> {
        let folder = std::env::temp_dir().join(format!("footbridge-demo-live-{}", std::process::id()));
        let secrets = folder.join("data/secrets");
        std::fs::create_dir_all(&secrets).with_context(|| secrets.display().to_string())?;
        std::fs::write(secrets.join("routing.key"), ROUTING)?;
        std::fs::write(secrets.join("members.key"), MEMBERS)?;
        if let Some(brokers) = kafka {
            let prefix = format!("footbridge-demo-{}", std::process::id());
            let config = format!("kafka: {{ bootstrap: \"{brokers}\", prefix: \"{prefix}.\", group: \"{prefix}\", replication: 1 }}\n");
            std::fs::write(folder.join(CONFIG), config)?;
        }
        let (process, client) = start(&folder)?;
        Ok(Live { folder, process, client })
    }

    fn status(&self) -> anyhow::Result<Value> {
        self.client.get("/status")?.value()
    }

    fn settled(&self) -> anyhow::Result<()> {
        let begun = Stopwatch::now();
        while self.status()?.get("worked_off").and_then(sonic_rs::JsonValueTrait::as_bool) != Some(true) {
            ensure!(begun.elapsed() < PATIENCE, "the bridge does not come to rest");
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// The newest event of each member, and the ids of all events.
    fn audience(&self, name: &str) -> anyhow::Result<(BTreeMap<String, Value>, BTreeSet<String>, u64)> {
        let (mut newest, mut ids, mut count) = (BTreeMap::new(), BTreeSet::new(), 0);
        self.client.each_line(&format!("/audiences/{name}/events"), &mut |line| {
            let line = value(line)?;
            let (Some(member), Some(data)) = (line["key"].as_str(), line.get("data")) else { return Ok(()) };
            ids.extend(line["headers"]["ce_id"].as_str().map(str::to_owned));
            count += 1;
            newest.insert(member.to_owned(), data.clone());
            Ok(())
        })?;
        Ok((newest, ids, count))
    }

    fn names(&self) -> anyhow::Result<Vec<String>> {
        let status = self.status()?;
        let audiences = status.get("audiences").and_then(|list| list.as_array()).context("audiences")?;
        Ok(audiences.iter().filter_map(|audience| audience["name"].as_str().map(str::to_owned)).collect())
    }

    /// How many are in each audience.
    fn sizes(&self) -> anyhow::Result<BTreeMap<String, usize>> {
        let mut sizes = BTreeMap::new();
        for name in self.names()? {
            let (newest, ids, count) = self.audience(&name)?;
            ensure!(ids.len() as u64 == count, "{name}: an event came twice");
            sizes.insert(name, newest.values().filter(|event| event["status"].as_str() != Some("exited")).count());
        }
        Ok(sizes)
    }
}

pub fn tell(seed: u64, people: usize, kafka: Option<&str>, out: &mut String) -> anyhow::Result<()> {
    let now: Instant = jiff::Timestamp::now().into();
    let arrivals = population::invent(seed, people, now.minus(Span::days(400)), now.minus(Span::days(1)));
    let mut live = Live::begin(kafka)?;
    writeln!(out, "Now a bridge runs, and the same hospital sends over HTTP")?;
    let begun = Stopwatch::now();
    for part in arrivals.chunks(PART) {
        let body: String = part.iter().flat_map(|arrival| [arrival.json.as_str(), "\n"]).collect();
        live.client.post("/fhir", "application/fhir+ndjson", body.as_bytes())?;
    }
    live.settled()?;
    let loaded = begun.elapsed().as_secs_f64();
    ensure!(live.sizes()?.values().all(|size| *size == 0), "somebody entered before the first load was complete");
    writeln!(
        out,
        "  {} resources, each on disk before it was acknowledged; nobody is told of, for the load is not complete",
        arrivals.len()
    )?;
    writeln!(out, "  measured on this machine: {loaded:.2} s, {:.0} resources a second", arrivals.len() as f64 / loaded)?;
    live.client.post("/sources/push/baseline", "application/json", b"")?;
    live.settled()?;
    let sizes = live.sizes()?;
    ensure!(sizes.values().sum::<usize>() > 0, "nobody is in any audience; try another --seed");
    writeln!(out, "  the baseline is marked, and who qualifies is told:")?;
    for (name, size) in &sizes {
        writeln!(out, "  {size:>7} in {name}")?;
    }
    writeln!(out)?;
    live.withdrawn(&arrivals, out)?;
    live.opted_out(&arrivals, out)?;
    live.broken(out)?;
    live.killed(out)
}

impl Live {
    /// Who is in the audience of these scenes: member, the id and the newest Patient, in the order of ids.
    fn inside<'a>(&self, arrivals: &'a [population::Arrival]) -> anyhow::Result<Vec<(String, String, &'a str)>> {
        let (keys, members) = (Keys::new(ROUTING), MemberKey::new("crm", 1, MEMBERS));
        let (newest, _, _) = self.audience(AUDIENCE)?;
        let patients: BTreeMap<String, &str> = arrivals
            .iter()
            .filter_map(|arrival| {
                let peek = peek(arrival.json.as_bytes()).ok().filter(|peek| peek.kind == "Patient")?;
                Some((peek.id?.into_owned(), arrival.json.as_str()))
            })
            .collect();
        let named = patients.into_iter().map(|(id, json)| (members.member(keys.person("", &id)), id, json));
        let inside = |member: &str| newest.get(member).is_some_and(|event| event["status"].as_str() != Some("exited"));
        Ok(named.filter(|(member, ..)| inside(member)).collect())
    }

    /// Waits until each of them has left, and gives their exits.
    fn exits(&self, members: &[&str], begun: Stopwatch) -> anyhow::Result<Vec<Value>> {
        loop {
            let (newest, _, _) = self.audience(AUDIENCE)?;
            let events = members.iter().map(|member| newest.get(*member).cloned().context("a member disappeared"));
            let events: Vec<Value> = events.collect::<anyhow::Result<_>>()?;
            if events.iter().all(|event| event["status"].as_str() == Some("exited")) {
                return Ok(events);
            }
            ensure!(begun.elapsed() < PATIENCE, "somebody who should leave does not");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Someone denies treatment messages, and is out.
    fn withdrawn(&self, arrivals: &[population::Arrival], out: &mut String) -> anyhow::Result<()> {
        let inside = self.inside(arrivals)?;
        let (member, patient, _) = inside.first().with_context(|| format!("nobody is in {AUDIENCE}; try another --seed"))?;
        let now = Instant::from(jiff::Timestamp::now());
        let consent = format!(
            r#"{{"resourceType":"Consent","id":"live-denial","meta":{{"lastUpdated":"{now}"}},"status":"active","scope":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}}]}},"category":[{{"coding":[{{"system":"http://loinc.org","code":"59284-0"}}]}}],"patient":{{"reference":"Patient/{patient}"}},"dateTime":"{now}","policyRule":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"OPTOUT"}}]}}}}"#
        );
        let begun = Stopwatch::now();
        self.client.post("/fhir", "application/fhir+json", consent.as_bytes())?;
        let acknowledged = begun.elapsed();
        let events = self.exits(&[member], begun)?;
        let seen = begun.elapsed();
        ensure!(events[0]["reason"].as_str() == Some("stop"), "the recipient is not told to stop");
        writeln!(out, "Someone in {AUDIENCE} says no: a Consent arrives that denies")?;
        writeln!(out, "  {member} exited, reason stop: do not contact again for this")?;
        writeln!(
            out,
            "  measured on this machine: on disk after {:.1} ms, the exit visible to the CRM after {:.1} ms\n",
            acknowledged.as_secs_f64() * 1e3,
            seen.as_secs_f64() * 1e3
        )?;
        Ok(())
    }

    /// Two people of one household have one mobile number, and someone answers STOP: the CRM knows the number only.
    fn opted_out(&self, arrivals: &[population::Arrival], out: &mut String) -> anyhow::Result<()> {
        let inside = self.inside(arrivals)?;
        let [one, other] = inside.get(..2).with_context(|| format!("nobody is left in {AUDIENCE}; try another --seed"))? else {
            bail!("two are two");
        };
        for ((_, _, json), number) in [one, other].into_iter().zip(["+1 312 555 0142", "(312) 555-0142"]) {
            let mut patient: Value = sonic_rs::from_str(json).context("an invented Patient")?;
            let now = Instant::from(jiff::Timestamp::now());
            let household = patient.as_object_mut().context("an invented Patient")?;
            household.insert("meta", sonic_rs::json!({ "lastUpdated": (now.to_string()) }));
            household.insert("telecom", sonic_rs::json!([{ "system": "phone", "use": "mobile", "value": number }]));
            let body = sonic_rs::to_string(&patient).context("an invented Patient")?;
            self.client.post("/fhir", "application/fhir+json", body.as_bytes())?;
        }
        self.settled()?;
        let members = [one.0.as_str(), other.0.as_str()];
        let still = self.inside(arrivals)?;
        ensure!(members.iter().all(|member| still.iter().any(|(one, ..)| one == member)), "a new number put somebody out");
        let report = r#"{"recipient":"crm","channel":"sms","what":"opt-out","contact":"312-555-0142"}"#;
        let begun = Stopwatch::now();
        self.client.post("/preferences", "application/json", report.as_bytes())?;
        let acknowledged = begun.elapsed();
        let events = self.exits(&members, begun)?;
        let seen = begun.elapsed();
        ensure!(events.iter().all(|event| event["reason"].as_str() == Some("stop")), "the recipient is not told to stop");
        writeln!(out, "A mobile number answers STOP, and the CRM reports the number; two of one household have it")?;
        for member in members {
            writeln!(out, "  {member} exited, reason stop: do not contact again for this")?;
        }
        writeln!(
            out,
            "  measured on this machine: on disk in every partition after {:.1} ms, both exits visible to the CRM after {:.1} ms\n",
            acknowledged.as_secs_f64() * 1e3,
            seen.as_secs_f64() * 1e3
        )?;
        Ok(())
    }

    fn broken(&self, out: &mut String) -> anyhow::Result<()> {
        let before = self.status()?["quarantined"].as_u64().unwrap_or(0);
        let refused = self.client.post("/fhir", "application/fhir+json", br#"{"resourceType":"Observation","id":"live-broken","status""#);
        let Err(refused) = refused else { bail!("half a resource was taken for a whole one") };
        self.settled()?;
        let listed = self.client.get("/quarantine")?;
        let last = listed.lines().next_back().context("nothing is in quarantine")?;
        let last = value(last)?;
        ensure!(self.status()?["quarantined"].as_u64() > Some(before), "the broken resource is not in quarantine");
        let reason = last["headers"]["reason"].as_str().unwrap_or("");
        ensure!(refused.to_string().contains("422"), "the sender is not told");
        writeln!(out, "Half a resource arrives: its sender is told (422), it lies in quarantine, and nothing else is touched")?;
        writeln!(out, "  {reason}\n")?;
        Ok(())
    }

    fn killed(&mut self, out: &mut String) -> anyhow::Result<()> {
        let before = self.sizes()?;
        self.process.kill().context("kill -9")?;
        self.process.wait()?;
        let begun = Stopwatch::now();
        let (process, client) = start(&self.folder)?;
        let up = begun.elapsed().as_secs_f64() * 1e3;
        (self.process, self.client) = (process, client);
        self.settled()?;
        ensure!(self.sizes()? == before, "a crash changed who is in an audience");
        writeln!(out, "The bridge is killed (kill -9) and started again: the same people are in, no event came twice")?;
        writeln!(out, "  measured on this machine: answering again after {up:.0} ms\n")?;
        Ok(())
    }
}
