//! Counters, gauges and histograms of the process, as Prometheus reads them.
//!
//! In: what facts count. Out: text (Prometheus exposition format 0.0.4).
//! Never here: a label that is not of a closed set: routes, states, and the names that the configuration gives.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One metric: its name and what it says, with the names of its labels.
pub(super) struct Metric {
    pub name: &'static str,
    pub help: &'static str,
    pub labels: &'static [&'static str],
}

enum Value {
    Counter(u64),
    /// What stands now: it may sink.
    Gauge(i64),
    Times(Times),
}

#[derive(Default)]
struct Times {
    /// For each bound of `BOUNDS`: how many took no longer.
    within: [u64; BOUNDS.len()],
    count: u64,
    sum: Duration,
}

/// Seconds.
const BOUNDS: [f64; 9] = [0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// Metric name, then the values of its labels.
type Series = BTreeMap<&'static str, (&'static Metric, BTreeMap<Vec<String>, Value>)>;

/// Of the whole process, for a fact may be met anywhere in it.
static SERIES: Mutex<Series> = Mutex::new(BTreeMap::new());

fn series() -> MutexGuard<'static, Series> {
    SERIES.lock().unwrap_or_else(PoisonError::into_inner)
}

fn with(metric: &'static Metric, labels: &[&str], new: fn() -> Value, change: impl FnOnce(&mut Value)) {
    debug_assert_eq!(metric.labels.len(), labels.len(), "{}", metric.name);
    let mut series = series();
    let (_, values) = series.entry(metric.name).or_insert_with(|| (metric, BTreeMap::new()));
    change(values.entry(labels.iter().map(|label| (*label).to_owned()).collect()).or_insert_with(new));
}

pub(super) fn add(metric: &'static Metric, labels: &[&str], more: u64) {
    with(
        metric,
        labels,
        || Value::Counter(0),
        |value| {
            if let Value::Counter(count) = value {
                *count += more;
            }
        },
    );
}

/// Several may share a gauge: each adds how far its own part has moved.
pub(super) fn shift(metric: &'static Metric, labels: &[&str], by: i64) {
    gauge(metric, labels, |stands| *stands += by);
}

/// A gauge of one owner.
pub(super) fn set(metric: &'static Metric, labels: &[&str], to: i64) {
    gauge(metric, labels, |stands| *stands = to);
}

fn gauge(metric: &'static Metric, labels: &[&str], change: impl FnOnce(&mut i64)) {
    with(
        metric,
        labels,
        || Value::Gauge(0),
        |value| {
            if let Value::Gauge(stands) = value {
                change(stands);
            }
        },
    );
}

pub(super) fn time(metric: &'static Metric, labels: &[&str], took: Duration) {
    with(
        metric,
        labels,
        || Value::Times(Times::default()),
        |value| {
            if let Value::Times(times) = value {
                let seconds = took.as_secs_f64();
                times.within.iter_mut().zip(BOUNDS).filter(|(_, bound)| seconds <= *bound).for_each(|(count, _)| *count += 1);
                times.count += 1;
                times.sum += took;
            }
        },
    );
}

/// All that was counted since the process began.
pub fn render() -> String {
    let mut text = String::new();
    for (metric, values) in series().values() {
        let kind = match values.values().next() {
            Some(Value::Counter(_)) => "counter",
            Some(Value::Gauge(_)) => "gauge",
            Some(Value::Times(_)) => "histogram",
            None => continue,
        };
        line(&mut text, format_args!("# HELP {} {}", metric.name, metric.help));
        line(&mut text, format_args!("# TYPE {} {kind}", metric.name));
        for (labels, value) in values {
            one(&mut text, metric, labels, value);
        }
    }
    text
}

fn one(text: &mut String, metric: &Metric, labels: &[String], value: &Value) {
    let name = metric.name;
    let pairs: Vec<String> = metric.labels.iter().zip(labels).map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
    let plain = if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) };
    match value {
        Value::Counter(count) => line(text, format_args!("{name}{plain} {count}")),
        Value::Gauge(stands) => line(text, format_args!("{name}{plain} {stands}")),
        Value::Times(times) => {
            let before = pairs.iter().fold(String::new(), |before, pair| before + pair + ",");
            for (count, bound) in times.within.iter().zip(BOUNDS) {
                line(text, format_args!("{name}_bucket{{{before}le=\"{bound}\"}} {count}"));
            }
            line(text, format_args!("{name}_bucket{{{before}le=\"+Inf\"}} {}", times.count));
            line(text, format_args!("{name}_sum{plain} {}", times.sum.as_secs_f64()));
            line(text, format_args!("{name}_count{plain} {}", times.count));
        }
    }
}

fn line(text: &mut String, what: std::fmt::Arguments) {
    writeln!(text, "{what}").expect("a string takes any text");
}

fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_into_every_bound_that_holds() {
        static METRIC: Metric = Metric { name: "test_histogram_seconds", help: "A test.", labels: &["route"] };
        time(&METRIC, &["a\"b"], Duration::from_millis(3));
        time(&METRIC, &["a\"b"], Duration::from_secs(60));
        let text: String =
            render().lines().filter(|line| line.contains("test_histogram_seconds")).map(|line| format!("{line}\n")).collect();
        assert!(text.starts_with("# HELP test_histogram_seconds A test.\n# TYPE test_histogram_seconds histogram\n"), "{text}");
        for expected in [
            "test_histogram_seconds_bucket{route=\"a\\\"b\",le=\"0.001\"} 0\n",
            "test_histogram_seconds_bucket{route=\"a\\\"b\",le=\"0.005\"} 1\n",
            "test_histogram_seconds_bucket{route=\"a\\\"b\",le=\"30\"} 1\n",
            "test_histogram_seconds_bucket{route=\"a\\\"b\",le=\"+Inf\"} 2\n",
            "test_histogram_seconds_sum{route=\"a\\\"b\"} 60.003\n",
            "test_histogram_seconds_count{route=\"a\\\"b\"} 2\n",
        ] {
            assert!(text.contains(expected), "{expected}\n{text}");
        }
    }

    #[test]
    fn a_gauge_is_the_sum_of_its_parts_and_sinks() {
        static GAUGE: Metric = Metric { name: "test_gauge", help: "A test.", labels: &[] };
        shift(&GAUGE, &[], 7);
        shift(&GAUGE, &[], -9);
        assert!(render().contains("# TYPE test_gauge gauge\ntest_gauge -2\n"));
        set(&GAUGE, &[], 4);
        assert!(render().contains("\ntest_gauge 4\n"));
    }

    #[test]
    fn a_counter_adds() {
        static COUNTER: Metric = Metric { name: "test_counter_total", help: "A test.", labels: &[] };
        add(&COUNTER, &[], 2);
        add(&COUNTER, &[], 3);
        let text = render();
        assert!(text.contains("\ntest_counter_total 5\n"), "{text}");
    }
}
