//! `prometheus::text()`, parsed strictly.

use std::{
    error::Error,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use tokio::sync::Semaphore;
use tokio_supervised::{CancellationToken, TaskError, prometheus, set_limit, supervised};

use crate::{Samples, of, page::Page, run, value};

fn page() -> Page {
    Page::read(&prometheus::text())
}

pub(crate) fn samples(task: &str) -> Samples {
    of(task, page().samples)
}

#[test]
fn a_function_has_all_its_series_from_its_first_use() {
    #[supervised(name = "text: once", limit = 3)]
    async fn once() -> Result<(), TaskError> {
        Ok(())
    }

    assert_eq!(samples("text: once"), Samples::new(), "it is not registered yet");
    run(once(&CancellationToken::new())).unwrap();
    let samples = samples("text: once");
    let get = |name: &str| value(&samples, name, &[("task", "text: once")]);
    assert_eq!(get("supervised_tasks_started_total"), Some(1.0));
    assert_eq!(get("supervised_tasks_running"), Some(0.0));
    assert_eq!(get("supervised_tasks_waiting"), Some(0.0));
    assert_eq!(get("supervised_task_limit"), Some(3.0));
    assert_eq!(get("supervised_task_restarts_total"), Some(0.0));
    assert_eq!(get("supervised_slow_polls_total"), Some(0.0));
    assert_eq!(get("supervised_task_duration_seconds_count"), Some(1.0));
    assert_eq!(get("supervised_permit_wait_seconds_count"), Some(1.0));
    for outcome in tokio_supervised::Outcome::ALL {
        let labels = [("task", "text: once"), ("outcome", outcome.as_str())];
        let expected = f64::from(u8::from(outcome == tokio_supervised::Outcome::Ok));
        assert_eq!(value(&samples, "supervised_tasks_finished_total", &labels), Some(expected));
    }
    // Besides the 13: the other six outcomes, and the buckets of the histograms.
    assert_eq!(samples.len(), 6 + 7 + 2 * (23 + 2), "{samples:#?}");
}

#[test]
fn a_function_without_a_limit_has_no_limit_series() {
    #[supervised(name = "text: unlimited")]
    async fn unlimited() {}

    run(unlimited(&CancellationToken::new()));
    let labels = [("task", "text: unlimited")];
    let samples = samples("text: unlimited");
    assert_eq!(value(&samples, "supervised_task_limit", &labels), None);
    assert_eq!(value(&samples, "supervised_tasks_started_total", &labels), Some(1.0));
    assert_eq!(value(&samples, "supervised_task_duration_seconds_count", &labels), Some(1.0));
}

/// By every exporter: the others have the same numbers as the page.
#[test]
fn a_function_without_a_limit_has_no_waits_for_permits() {
    #[supervised(name = "text: never waits")]
    async fn never_waits() {}

    run(never_waits(&CancellationToken::new()));
    let samples = samples("text: never waits");
    let waits: Vec<_> =
        samples.keys().filter(|key| format!("{key:?}").contains("permit_wait")).collect();
    assert!(waits.is_empty(), "{waits:#?}");
}

#[test]
fn functions_of_one_name_are_summed_on_the_page() {
    #[supervised(name = "text: shared", limit = 2)]
    async fn one() {}

    #[supervised(name = "text: shared", limit = 5)]
    async fn other() {}

    #[supervised(name = "text: shared")]
    async fn third() {}

    run(async {
        let token = CancellationToken::new();
        one(&token).await;
        other(&token).await;
        third(&token).await;
    });
    let samples = samples("text: shared");
    let get = |name: &str| value(&samples, name, &[("task", "text: shared")]);
    assert_eq!(get("supervised_tasks_started_total"), Some(3.0));
    assert_eq!(get("supervised_task_limit"), Some(7.0), "only for functions with a limit");
    assert_eq!(get("supervised_task_duration_seconds_count"), Some(3.0));
}

#[test]
fn any_name_arrives_unchanged() {
    const HOSTILE: &str = "a\"b\\c\nd\\n{x=\"1\",} 7 # größe\t🦀\r\u{0}";

    #[supervised(name = "a\"b\\c\nd\\n{x=\"1\",} 7 # größe\t🦀\r\u{0}")]
    async fn hostile() {}

    run(hostile(&CancellationToken::new()));
    let started = value(&samples(HOSTILE), "supervised_tasks_started_total", &[("task", HOSTILE)]);
    assert_eq!(started, Some(1.0));
}

#[test]
fn running_and_waiting_calls_are_shown() {
    static HELD: Semaphore = Semaphore::const_new(0);

    #[supervised(name = "text: held", limit = 1)]
    async fn held() {
        HELD.acquire().await.unwrap().forget();
    }

    let now = || {
        let samples = samples("text: held");
        ["running", "waiting"].map(|what| {
            value(&samples, &format!("supervised_tasks_{what}"), &[("task", "text: held")]).unwrap()
        })
    };
    run(async {
        let token = CancellationToken::new();
        let looks = async {
            assert_eq!(now(), [1.0, 1.0]);
            set_limit("text: held", 4).unwrap();
            let samples = samples("text: held");
            let limit = value(&samples, "supervised_task_limit", &[("task", "text: held")]);
            assert_eq!(limit, Some(4.0));
            HELD.add_permits(2);
        };
        tokio::join!(biased; held(&token), held(&token), looks);
    });
    assert_eq!(now(), [0.0, 0.0]);
}

#[test]
fn a_duration_is_in_its_bucket_and_in_all_above() {
    #[supervised(name = "text: slow")]
    async fn slow() {
        tokio::time::sleep(Duration::from_millis(30)).await;
    }

    run(slow(&CancellationToken::new()));
    let samples = samples("text: slow");
    let get = |suffix: &str, le: &[(&str, &str)]| {
        let labels = [&[("task", "text: slow")], le].concat();
        value(&samples, &format!("supervised_task_duration_seconds_{suffix}"), &labels).unwrap()
    };
    let sum = get("sum", &[]);
    assert!((0.03..60.0).contains(&sum), "{sum}");
    for le in ["0.00001", "0.02", "0.05", "0.5", "1", "100"] {
        let bound: f64 = le.parse().unwrap();
        assert_eq!(get("bucket", &[("le", le)]), f64::from(u8::from(sum <= bound)), "{le}");
    }
    assert_eq!(get("bucket", &[("le", "+Inf")]), 1.0);
}

#[test]
fn a_page_is_ordered_and_declares_its_counters() {
    #[supervised(name = "text: b")]
    async fn b() {}

    #[supervised(name = "text: a")]
    async fn a() {}

    run(b(&CancellationToken::new()));
    run(a(&CancellationToken::new()));
    let text = prometheus::text();
    let page = Page::read(&text);
    assert!(page.families.is_sorted(), "{:?}", page.families);
    for (name, kind) in &page.families {
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
        assert!(text.contains(&format!("# HELP {name} ")), "{name}");
    }
    let at = |task: &str| text.find(&format!("started_total{{task=\"{task}\"}}")).unwrap();
    assert!(at("text: a") < at("text: b"), "sorted by name, not by first run");
}

#[test]
fn the_numbers_are_consistent_while_threads_count() {
    #[supervised(name = "text: busy", limit = 2)]
    async fn busy(step: u32) -> Result<(), Box<dyn Error + Send + Sync>> {
        tokio::task::yield_now().await;
        if step % 16 == 0 { Err("now and then one fails".into()) } else { Ok(()) }
    }

    // Part of the counting is done by a second function of the same name.
    #[supervised(name = "text: busy")]
    async fn also_busy() {}

    const THREADS: usize = 4;
    const RUNS: u32 = 4_000;
    let counting = AtomicUsize::new(THREADS);
    let pages = thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                run(async {
                    let token = CancellationToken::new();
                    for step in 0..RUNS {
                        _ = busy(&token, step).await;
                        also_busy(&token).await;
                    }
                });
                counting.fetch_sub(1, Ordering::Release);
            });
        }
        let mut before = Samples::new();
        let mut pages = 0;
        while counting.load(Ordering::Acquire) > 0 {
            // The parser checks each histogram.
            let now = samples("text: busy");
            for ((name, labels), value) in &before {
                let rises = !["running", "waiting", "limit"].iter().any(|end| name.ends_with(end));
                let now = now[&(name.clone(), labels.clone())];
                assert!(!rises || now >= *value, "{name}{labels:?}: {value}, then {now}");
            }
            let labels = [("task", "text: busy")];
            let running = value(&now, "supervised_tasks_running", &labels).unwrap_or(0.0);
            let started = value(&now, "supervised_tasks_started_total", &labels).unwrap_or(0.0);
            let ended = now.iter().filter(|((name, _), _)| name.ends_with("finished_total"));
            assert_eq!(running, started - ended.map(|(_, ended)| ended).sum::<f64>());
            before = now;
            pages += 1;
        }
        pages
    });
    assert!(pages > 0, "it was read meanwhile");
    let samples = samples("text: busy");
    let total = f64::from(RUNS) * THREADS as f64;
    let ended = |outcome| {
        let labels = [("task", "text: busy"), ("outcome", outcome)];
        value(&samples, "supervised_tasks_finished_total", &labels).unwrap()
    };
    assert_eq!(ended("error"), total / 16.0);
    assert_eq!(ended("ok"), total * 2.0 - total / 16.0);
}
