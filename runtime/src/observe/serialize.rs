//! Feature `serde`: flat objects, durations in seconds with the unit in the key, places as `file:line:column`,
//! ids as strings of digits (a JSON number may be too small for them).

use std::{
    fmt::Display,
    time::{Duration, UNIX_EPOCH},
};

use serde::{
    Serialize, Serializer,
    ser::{SerializeMap, SerializeSeq, SerializeStruct},
};

use crate::{
    function::metrics::histogram::Histogram,
    observe::stats::TaskStats,
    outcome::Outcome,
    panic::recent::RecentPanic,
    registry::live::{LiveTask, ParentTask, TaskState},
    registry::services::{ServiceState, ServiceStatus},
    registry::snapshot::Tasks,
    registry::waits::AwaitFrame,
};

/// Serializes a value as its `Display` text.
struct Text<T>(T);

impl<T: Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A list of objects.
impl Serialize for Tasks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self)
    }
}

/// `{"name", "label", "id", "state", "state_seconds", "age_seconds", "place", "parent", "depth", "service", "pool",
/// "frames", "waiting_seconds"}`; `label` is null if the call has none, `state_seconds` if the state has no duration,
/// `pool` if its pool has no name, `waiting_seconds` if the line that it waits at is not known.
impl Serialize for LiveTask {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (state, since) = state(self.state);
        let mut object = serializer.serialize_struct("LiveTask", 13)?;
        object.serialize_field("name", self.name)?;
        object.serialize_field("label", &self.label())?;
        object.serialize_field("id", &self.id.map(Text))?;
        object.serialize_field("state", state)?;
        object.serialize_field("state_seconds", &since.as_ref().map(Duration::as_secs_f64))?;
        object.serialize_field("age_seconds", &self.age.as_secs_f64())?;
        object.serialize_field("place", &Text(self.spawned_at))?;
        object.serialize_field("parent", &self.parent)?;
        object.serialize_field("depth", &self.depth)?;
        object.serialize_field("service", &self.service.as_deref())?;
        object.serialize_field("pool", &self.pool)?;
        object.serialize_field("frames", self.frames())?;
        let waiting = self.waiting_for();
        object.serialize_field("waiting_seconds", &waiting.as_ref().map(Duration::as_secs_f64))?;
        object.end()
    }
}

/// `{"name", "file", "line"}`; the last two are null if the line is not known.
impl Serialize for AwaitFrame {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("AwaitFrame", 3)?;
        object.serialize_field("name", self.name)?;
        object.serialize_field("file", &self.file)?;
        object.serialize_field("line", &self.line)?;
        object.end()
    }
}

/// `{"name", "state", "restarts", "last_failure"}`
impl Serialize for ServiceStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("ServiceStatus", 4)?;
        object.serialize_field("name", &*self.name)?;
        object.serialize_field("state", &self.state)?;
        object.serialize_field("restarts", &self.restarts)?;
        object.serialize_field("last_failure", &self.last_failure.as_deref())?;
        object.end()
    }
}

/// The name alone.
impl Serialize for ServiceState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// `{"name", "id"}`
impl Serialize for ParentTask {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("ParentTask", 2)?;
        object.serialize_field("name", self.name)?;
        object.serialize_field("id", &self.id.map(Text))?;
        object.end()
    }
}

/// The name alone.
impl Serialize for TaskState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(state(*self).0)
    }
}

fn state(state: TaskState) -> (&'static str, Option<Duration>) {
    match state {
        TaskState::Waiting => ("waiting", None),
        TaskState::Running => ("running", None),
        TaskState::Polling(since) => ("polling", Some(since)),
        TaskState::Blocking(since) => ("blocking", Some(since)),
        TaskState::Stopping => ("stopping", None),
    }
}

/// `{"name", "place", "started", "running", "waiting", "restarts", "slow_polls", "limit", "ended",
/// "durations", "permit_waits"}`, where `ended` has a number for each outcome.
impl Serialize for TaskStats {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("TaskStats", 11)?;
        object.serialize_field("name", self.name)?;
        object.serialize_field("place", &Text(self.place))?;
        object.serialize_field("started", &self.started)?;
        object.serialize_field("running", &self.running)?;
        object.serialize_field("waiting", &self.waiting)?;
        object.serialize_field("restarts", &self.restarts)?;
        object.serialize_field("slow_polls", &self.slow_polls)?;
        object.serialize_field("limit", &self.limit)?;
        object.serialize_field("ended", &Ended(self))?;
        object.serialize_field("durations", &self.durations)?;
        object.serialize_field("permit_waits", &self.permit_waits)?;
        object.end()
    }
}

struct Ended<'a>(&'a TaskStats);

impl Serialize for Ended<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(Outcome::ALL.len()))?;
        for outcome in Outcome::ALL {
            object.serialize_entry(outcome.as_str(), &self.0.ended(outcome))?;
        }
        object.end()
    }
}

/// `{"count", "sum_seconds", "buckets"}`, each bucket a pair of its inclusive upper bound in seconds (null for
/// the last) and its own count.
impl Serialize for Histogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Histogram", 3)?;
        object.serialize_field("count", &self.count())?;
        object.serialize_field("sum_seconds", &self.sum().as_secs_f64())?;
        object.serialize_field("buckets", &Buckets(self))?;
        object.end()
    }
}

struct Buckets<'a>(&'a Histogram);

impl Serialize for Buckets<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for (bound, count) in self.0.buckets() {
            list.serialize_element(&(bound.as_ref().map(Duration::as_secs_f64), count))?;
        }
        list.end()
    }
}

/// `{"task", "label", "id", "message", "location", "at_unix_seconds", "backtrace"}`; the backtrace is symbolised.
impl Serialize for RecentPanic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let at = self.at().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut object = serializer.serialize_struct("RecentPanic", 7)?;
        object.serialize_field("task", self.task())?;
        object.serialize_field("label", &self.label())?;
        object.serialize_field("id", &self.id().map(Text))?;
        object.serialize_field("message", self.message())?;
        object.serialize_field("location", &self.location().map(Text))?;
        object.serialize_field("at_unix_seconds", &at.as_secs_f64())?;
        object.serialize_field("backtrace", &self.backtrace().map(Text))?;
        object.end()
    }
}
