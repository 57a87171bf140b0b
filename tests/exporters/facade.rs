//! `publish_metrics()`, and the Prometheus exporter of the facade.

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};
use tokio_supervised::{CancellationToken, prometheus, publish_metrics, supervised};

use crate::{Samples, of, page::Page, run, value};

pub(crate) fn recorder() -> PrometheusRecorder {
    PrometheusBuilder::new().build_recorder()
}

/// The output of its exporter for a function, after a publication.
pub(crate) fn published(recorder: &PrometheusRecorder, task: &str) -> Samples {
    metrics::with_local_recorder(recorder, publish_metrics);
    of(task, Page::read(&recorder.handle().render()).samples)
}

#[test]
fn the_recorder_gets_the_numbers_of_the_page() {
    #[supervised(name = "facade: \"all\"\\", limit = 2)]
    async fn all() {
        tokio::task::yield_now().await;
    }

    run(all(&CancellationToken::new()));
    let page = of("facade: \"all\"\\", Page::read(&prometheus::text()).samples);
    assert_eq!(page.len(), 63);
    assert_eq!(published(&recorder(), "facade: \"all\"\\"), page);
}

#[test]
fn the_recorder_has_no_waits_of_a_function_without_a_limit() {
    #[supervised(name = "facade: never waits")]
    async fn never_waits() {}

    run(never_waits(&CancellationToken::new()));
    let page = of("facade: never waits", Page::read(&prometheus::text()).samples);
    assert_eq!(page.len(), 63 - 1 - 25, "neither the limit nor the waits");
    assert_eq!(published(&recorder(), "facade: never waits"), page);
}

#[test]
fn counters_are_set_and_not_added_to() {
    #[supervised(name = "facade: again")]
    async fn again() {}

    let recorder = recorder();
    for runs in 1..=3 {
        run(again(&CancellationToken::new()));
        for _ in 0..2 {
            let samples = published(&recorder, "facade: again");
            let labels = [("task", "facade: again")];
            let started = value(&samples, "supervised_tasks_started_total", &labels);
            assert_eq!(started, Some(f64::from(runs)));
        }
    }
}

#[test]
fn every_series_has_a_description_and_none_a_second_unit() {
    #[supervised(name = "facade: described", limit = 1)]
    async fn described() {}

    run(described(&CancellationToken::new()));
    let recorder = PrometheusBuilder::new().with_recommended_naming(true).build_recorder();
    metrics::with_local_recorder(&recorder, publish_metrics);
    let text = recorder.handle().render();
    let page = Page::read(&text);
    assert_eq!(page.families.len(), 7 + 2 * 3, "{:?}", page.families);
    for (name, _) in &page.families {
        assert!(text.contains(&format!("# HELP {name} ")), "{name}");
        assert!(!name.ends_with("_seconds"), "{name}");
    }
}

#[test]
fn without_a_recorder_nothing_is_recorded() {
    #[supervised(name = "facade: unrecorded")]
    async fn unrecorded() {}

    run(unrecorded(&CancellationToken::new()));
    publish_metrics();
    let recorder = recorder();
    assert_eq!(recorder.handle().render(), "", "earlier values are not kept");
}
