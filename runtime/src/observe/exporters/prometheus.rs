//! The text for Prometheus. Feature `prometheus`.
//!
//! ```
//! use tokio_supervised::prometheus;
//!
//! // In the handler of `GET /metrics`, in any web framework:
//! let (content_type, body) = (prometheus::CONTENT_TYPE, prometheus::text());
//! # assert!(content_type.starts_with("text/plain") && !body.contains('\r'));
//! ```
//!
//! | series | type | |
//! |---|---|---|
//! | `supervised_tasks_started_total{task}` | counter | runs that started |
//! | `supervised_tasks_finished_total{task,outcome}` | counter | runs that ended, by [`Outcome`](crate::Outcome) |
//! | `supervised_tasks_running{task}` | gauge | runs whose body is running |
//! | `supervised_tasks_waiting{task}` | gauge | runs that wait for a permit, or to be spawned |
//! | `supervised_task_limit{task}` | gauge | the `limit`, of functions that have one |
//! | `supervised_task_restarts_total{task}` | counter | runs that restarted a call |
//! | `supervised_slow_polls_total{task}` | counter | polls that were reported to block their worker |
//! | `supervised_task_duration_seconds{task}` | histogram | from the permit to the end, in real time |
//! | `supervised_permit_wait_seconds{task}` | histogram | the wait for a permit, in real time, of functions that have a `limit` |
//! | `supervised_service_up{service}` | gauge | 1 if a service of a [`Services`](crate::Services) is ready, 0 while it starts, restarts or stops; none once it has ended |
//!
//! | `supervised_pool_slots{pool}` | gauge | the limit of a [`Pool`](crate::Pool) that has a [`name`](crate::Pool::name) |
//! | `supervised_pool_in_use{pool}` | gauge | its slots that have a task or are reserved |
//! | `supervised_pool_waiting{pool}` | gauge | spawns and reservations that wait for a slot |
//! | `supervised_pool_refused_total{pool}` | counter | spawns and reservations that were refused: the pool was full or closed, or the call would have deadlocked itself |
//!
//! `task` is the function's `name`. Functions that share a name are added up, their limits too; if one of them has no
//! limit, running over limit says nothing: give it a name that no other function has.
//!
//! # Functions that have not run
//!
//! All series of a function exist, at zero, from its first use in the process on (those of a limit if it has one);
//! before that, the function has none. A rule that has to hold before then, or after every restart, has to define what
//! a missing series means:
//!
//! ```text
//! absent(supervised_tasks_started_total{task="backup"})                                   # never ran
//! sum(rate(supervised_tasks_started_total{task="backup"}[5m])) or vector(0)               # 0, not nothing
//! ```
//!
//! A function that panics in its very first run may be seen first with a count of one already: `increase` sees no step
//! then. The rules in the repository, `examples/prometheus/rules.yml`, cover that as well.

use std::fmt::{self, Write as _};

use crate::observe::exporters::series;
use crate::observe::exporters::series::{FAMILIES, Family, Kind, Others, Sample, Series, TASK};

/// The `Content-Type` of [`text`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Returns the counters of every supervised function in the text exposition format 0.0.4.
///
/// About 2 KB for each name, 4 KB with a `limit`, and some twenty microseconds, in the order of the names. It reads the
/// counters of each thread, one function after another, and blocks no run. The numbers of a name are consistent while
/// runs continue: a histogram's `_count` is its last bucket, running is started less finished, and from one call to the
/// next no counter goes back.
///
/// ```
/// # use tokio_supervised::{CancellationToken, TaskError, prometheus, supervised};
/// #[supervised]
/// async fn greet() -> Result<(), TaskError> { Ok(()) }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), TaskError> {
/// greet(&CancellationToken::new()).await?;
/// let text = prometheus::text();
/// assert!(text.contains("supervised_tasks_finished_total{task=\"greet\",outcome=\"ok\"} 1\n"));
/// assert!(text.contains("supervised_tasks_finished_total{task=\"greet\",outcome=\"panicked\"} 0\n"));
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn text() -> String {
    text_of(&series::all().collect::<Vec<_>>())
}

pub(crate) fn text_of(all: &[Series]) -> String {
    let mut text = String::new();
    let others = Others::now();
    for family in &FAMILIES {
        write_family(&mut text, family, all, &others).expect("writing to a `String` does not fail");
    }
    text
}

/// A family without series is left out.
fn write_family(
    text: &mut String,
    family: &Family,
    all: &[Series],
    others: &Others,
) -> fmt::Result {
    let Family { name, help, .. } = family;
    let mut lines = String::new();
    family.read_others(others, |label, value, number| {
        if let Some(number) = number {
            lines.push_str(&format!("{name}{{{label}=\"{}\"}} {number}\n", Escaped(value)));
        }
    });
    for series in all {
        let task = Escaped(series.name);
        family.read(series, |Sample { metric: (suffix, _), label, number }| {
            lines.push_str(&format!("{name}{suffix}{{{TASK}=\"{task}\""));
            if let Some((label, value)) = label {
                lines.push_str(&format!(",{label}=\"{value}\""));
            }
            lines.push_str(&format!("}} {number}\n"));
        });
    }
    if lines.is_empty() {
        return Ok(());
    }
    let kind = match family.metrics() {
        [(_, Kind::Counter)] => "counter",
        [(_, Kind::Gauge)] => "gauge",
        _ => "histogram",
    };
    write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{lines}")
}

/// Writes the value of a label, escaped.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.0.split_inclusive(['\\', '"', '\n']) {
            let plain = part.trim_end_matches(['\\', '"', '\n']);
            f.write_str(plain)?;
            f.write_str(match &part[plain.len()..] {
                "\\" => r"\\",
                "\"" => "\\\"",
                "\n" => "\\n",
                _ => "",
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_characters_that_end_a_label_are_escaped() {
        for (plain, escaped) in [
            ("fetch", "fetch"),
            ("", ""),
            ("a\"b\\c\nd", "a\\\"b\\\\c\\nd"),
            ("\\\\\"\"\n", "\\\\\\\\\\\"\\\"\\n"),
            ("größe\t{}=,#", "größe\t{}=,#"),
        ] {
            assert_eq!(Escaped(plain).to_string(), escaped);
        }
    }
}
