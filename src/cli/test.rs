//! `test`: the stories that stand beside the audiences, run through the engine.
//!
//! In: mappings with stories. Out: which of them come true; of the others what was expected beside what happened.
//! Never here: the holdout, which would keep some invented people out by chance of the key.

use super::rehearsal::Engine;
use super::{Exit, load};
use crate::config::mappings::StoryFile;
use clap::Args;
use footbridge_core::audience::story::{self, Actor, Happened, Parties, Record, Status, Story};
use footbridge_core::consent::Recipient;
use footbridge_core::gate;
use footbridge_core::shard::{Arrival, Preference, Reading, What};
use footbridge_core::time::Instant;
use serde::Serialize;
use smallvec::smallvec;
use std::io::Write;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub struct Test {
    /// The folder of policy, audiences and value sets
    #[arg(long, value_name = "DIR", default_value = "mappings")]
    mappings: PathBuf,
    /// Only these audiences
    #[arg(value_name = "AUDIENCE")]
    audiences: Vec<String>,
    /// One story a line, as JSON
    #[arg(long)]
    json: bool,
}

/// How one story went.
#[derive(Serialize)]
struct Outcome<'a> {
    audience: &'a str,
    story: &'a str,
    passed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    difference: Option<String>,
}

pub fn run(args: &Test) -> anyhow::Result<Exit> {
    let Some(mut mappings) = load(&args.mappings)? else { return Ok(Exit::Problems) };
    let stories = std::mem::take(&mut mappings.stories);
    let unknown: Vec<&String> = args.audiences.iter().filter(|name| !stories.iter().any(|file| file.audience == **name)).collect();
    if !unknown.is_empty() {
        eprintln!("no stories for {}", unknown.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", "));
        return Ok(Exit::Usage);
    }
    mappings.catalogue.audiences.iter_mut().for_each(|audience| audience.holdout = None);
    let engine = Engine::rehearsing(mappings);
    let mut out = std::io::stdout().lock();
    let (mut passed, mut failed) = (0, 0);
    for file in stories.iter().filter(|file| args.audiences.is_empty() || args.audiences.contains(&file.audience)) {
        for story in &file.stories {
            let difference = tell(&engine, file, story)?;
            let outcome = Outcome { audience: &file.audience, story: &story.name, passed: difference.is_none(), difference };
            if outcome.passed {
                passed += 1;
            } else {
                failed += 1;
            }
            report(&mut out, args.json, &outcome)?;
        }
    }
    if !args.json {
        writeln!(out, "{passed} passed, {failed} failed")?;
    }
    Ok(if failed == 0 { Exit::Ok } else { Exit::Problems })
}

fn report(out: &mut impl Write, json: bool, outcome: &Outcome) -> anyhow::Result<()> {
    if json {
        writeln!(out, "{}", sonic_rs::to_string(outcome)?)?;
        return Ok(());
    }
    let mark = if outcome.passed { "ok    " } else { "FAILED" };
    writeln!(out, "{mark} {}: {}", outcome.audience, outcome.story)?;
    if let Some(difference) = &outcome.difference {
        for line in difference.lines() {
            writeln!(out, "       {line}")?;
        }
    }
    Ok(())
}

/// Runs one story. `Some` where something else happened than it says.
fn tell(engine: &Engine, file: &StoryFile, story: &Story) -> anyhow::Result<Option<String>> {
    let definitions = &engine.definitions;
    let Some(audience) = definitions.catalogue.audience(&file.audience) else {
        return Ok(Some(format!("there is no audience `{}`", file.audience)));
    };
    let policy = &definitions.policy;
    let recipient = policy.recipients.iter().find(|recipient| recipient.key == audience.recipient);
    let organisation = &policy.organisation;
    let parties = Parties {
        zone: &organisation.zone,
        recipient: recipient.and_then(|Recipient { references, identifiers, .. }| actor(references, identifiers)),
        organisation: actor(&organisation.references, &organisation.identifiers),
    };
    let fed = story::feed(story, &parties);
    let mut group = 0;
    let mut arrival = |at: Instant, person: &str, record: &Record| {
        group += 1;
        what(engine, at, person, record).map(|what| what.map(|what| Arrival { at, group, what }))
    };
    let mut first = Vec::new();
    for record in &fed.first {
        first.extend(arrival(fed.begins, "", record)?);
    }
    let mut later = Vec::new();
    for told in &fed.rest {
        let arrival = arrival(told.at, &told.person, &told.record)?;
        if told.at == fed.begins { first.extend(arrival) } else { later.extend(arrival) }
    }
    let rehearsal = engine.rehearse(first, later, fed.begins, fed.ends);
    let name_of = |person| story.people.iter().find(|named| engine.person(&named.name) == person).map(|named| named.name.clone());
    let happened: Vec<Happened> = rehearsal
        .happenings
        .iter()
        .filter(|happening| happening.told.event.audience() == file.audience)
        .filter(|happening| story.renewals || happening.told.event.reason() != "renewed")
        .map(|happening| {
            let event = &happening.told.event;
            Happened {
                at: event.effective(),
                person: name_of(happening.person).unwrap_or_default(),
                status: status(event.status()),
                reason: event.reason().to_owned(),
                cause: Some(event.cause().to_owned()),
            }
        })
        .collect();
    Ok(story::compare(&story.then, &happened))
}

fn actor<'a>(references: &'a [String], identifiers: &'a [footbridge_core::consent::Identifier]) -> Option<Actor<'a>> {
    let reference = references.first().map(|reference| Actor::Reference(reference));
    reference.or_else(|| identifiers.first().map(|id| Actor::Identifier { system: &id.system, value: &id.value }))
}

fn status(status: gate::Status) -> Status {
    match status {
        gate::Status::Entered => Status::Entered,
        gate::Status::Updated => Status::Updated,
        gate::Status::Exited => Status::Exited,
    }
}

/// `None`: a resource that nothing reads.
fn what(engine: &Engine, at: Instant, person: &str, record: &Record) -> anyhow::Result<Option<What>> {
    match record {
        Record::OptOut { channel } => {
            let preference = Preference { recipient: None, channel: *channel, opted_out: true };
            Ok(Some(What::Preference { person: engine.person(person), preference }))
        }
        Record::Resource { kind, id, json } => match engine.origin().read(json.as_bytes(), Some(id), None, at) {
            Ok(Reading::Unread) => Ok(None),
            Ok(Reading::Nobody { key, version, .. }) => Ok(Some(What::Nobody { key, version })),
            Ok(Reading::Unclear { unreadable, .. }) => anyhow::bail!("{kind} {id} of the story: {unreadable}"),
            Ok(Reading::Shared { key, shared, .. }) => Ok(Some(What::Shared { key, shared })),
            Ok(Reading::About { persons, put, .. }) => {
                let mut keys = smallvec![];
                keys.extend(persons.iter().map(|(person, _)| *person));
                Ok(Some(What::Put { persons: keys, put }))
            }
            // Stories tell of broken records, too; but one whose person cannot be told is a slip of the pen.
            Err(reason) => anyhow::bail!("{kind} {id} of the story: {reason}"),
        },
    }
}
