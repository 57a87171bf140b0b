//! Counters and durations.

use std::time::Duration;

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tokio_supervised::supervised;
use tokio_supervised_worker::Class;

use crate::rig::{Act, Desk, queue};

#[supervised::test(start_paused = true)]
async fn messages_are_counted_under_the_messaging_names() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let recording = metrics::set_default_local_recorder(&recorder);
    let work = Act::Work(Duration::from_secs(2));
    let desk = Desk::default().acts("1", [Act::Fail(Class::Transient), work]);
    desk.empties(&queue(["1", "2"])).await;
    drop(recording);

    let mut seen = Vec::new();
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        let (_, key) = key.into_parts();
        let labels: Vec<_> =
            key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        let value = match value {
            DebugValue::Counter(count) => format!("{count}"),
            DebugValue::Histogram(values) => format!("{} values", values.len()),
            DebugValue::Gauge(value) => format!("{value}"),
        };
        seen.push(format!("{}{{{}}} {value}", key.name(), labels.join(",")));
    }
    seen.sort();
    let of = "messaging.system=memory,messaging.destination.name=memory";
    assert_eq!(
        seen,
        [
            format!("messaging.client.consumed.messages{{{of}}} 3"),
            format!("messaging.process.duration{{{of},error.type=transient}} 1 values"),
            format!("messaging.process.duration{{{of}}} 2 values"),
        ]
    );
}
