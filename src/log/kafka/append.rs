//! The landing of the Kafka log: one thread that appends for all sources, as many calls in one transaction as wait for it.
//!
//! In: jobs from the queue. Out: durable entries and definitions, answers.
//! Never here: an answer before the commit, or half of a call: readers see all of a transaction or nothing.

use super::Shared;
use super::writer::{FENCED_FOR, Writer, given_up, is_lost};
use crate::log::embedded::queue::{Answer, Job};
use crate::log::{LogError, Stamped};
use std::sync::Arc;
use std::time::Instant;

pub struct Appender {
    pub shared: Arc<Shared>,
    /// `None` after a failure: opened anew for the next job.
    pub writer: Option<Writer>,
    /// Until when it rests, and why.
    pub fenced: Option<(Instant, LogError)>,
}

impl Appender {
    /// Until the log is closed and the queue is empty.
    pub fn run(mut self) {
        loop {
            let settings = &self.shared.settings;
            let jobs = self.shared.queue.take(settings.group_entries_max, settings.group_bytes_max);
            if jobs.is_empty() {
                return;
            }
            let mut answers = Vec::new();
            let done = self.work(jobs, &mut answers);
            *self.shared.appends.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = done.clone().err();
            answers.into_iter().for_each(|answer| give(answer, &done));
            if let Err(error) = done {
                // Its transaction is aborted by the next one of the same name.
                self.writer = None;
                if is_lost(&error) {
                    self.fenced = Some((Instant::now() + FENCED_FOR, given_up(error)));
                }
            }
        }
    }

    /// If another process has this one's name, a session hears so and the process ends. Until then nothing is taken, so that the two do
    /// not fence each other in turn.
    fn rests(&self) -> Result<(), LogError> {
        match &self.fenced {
            Some((until, error)) if Instant::now() < *until => Err(error.clone()),
            Some(_) | None => Ok(()),
        }
    }

    /// One transaction for all jobs; `answers` are those that wait for its end.
    fn work(&mut self, jobs: Vec<Job>, answers: &mut Vec<Answer>) -> Result<(), LogError> {
        let shared = Arc::clone(&self.shared);
        let at = (shared.clock)();
        // Those that cannot be taken are answered on their own, and harm no other.
        let mut entries = Vec::new();
        let mut definitions = Vec::new();
        let mut outputs = Vec::new();
        for job in jobs {
            match job {
                Job::Append { entries: list, done } => match list.iter().try_for_each(|entry| shared.check(entry)) {
                    Ok(()) => {
                        entries.extend(list);
                        answers.push(Answer::Append { done, stamped: Stamped { at } });
                    }
                    Err(error) => done(Err(error)),
                },
                Job::Define { hash, content, reply } => {
                    definitions.push((hash, content));
                    answers.push(Answer::Reply(reply));
                }
                Job::Commit { session: None, commit, reply, .. } => {
                    outputs.extend(commit.outputs);
                    answers.push(Answer::Reply(reply));
                }
                Job::Commit { session: Some(_), .. } | Job::Sessions { .. } => {
                    job.refuse(LogError::refused(&shared.settings.bootstrap, "sessions of this log commit by themselves"));
                }
            }
        }
        if answers.is_empty() {
            return Ok(());
        }
        self.rests()?;
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => self.writer.insert(Writer::open(&shared.settings, "landing")?),
        };
        writer.begin()?;
        entries.iter().try_for_each(|entry| shared.send_entry(writer, entry, at))?;
        for (hash, content) in &definitions {
            shared.send_definition(writer, hash, content.as_deref())?;
        }
        outputs.iter().try_for_each(|output| shared.send_output(writer, output, at))?;
        let ends = writer.commit(&[])?;
        shared.progress().appended(&shared, &ends);
        shared.defined(&definitions, &ends);
        Ok(())
    }
}

fn give(answer: Answer, done: &Result<(), LogError>) {
    match answer {
        Answer::Append { done: told, stamped } => told(done.clone().map(|()| stamped)),
        // A caller that no longer waits for the answer needs none.
        Answer::Reply(reply) => drop(reply.send(done.clone())),
    }
}
