//! Publishes orders, also while the broker is killed.

use std::{thread, thread::JoinHandle, time::Duration};

use futures_util::{StreamExt as _, stream};
use tokio::time::{sleep, timeout};

use crate::{
    broker::Kept,
    place::{Place, runtime},
};

/// How many orders are sent at once.
const AT_ONCE: usize = 128;

/// Longer than an exchange with a broker that answers.
const EXCHANGE: Duration = Duration::from_secs(5);

/// A thread that publishes until everything is stored.
pub(crate) struct Publisher(JoinHandle<Published>);

/// How many orders were published, and how many of them had been stored before.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) all: usize,
    pub(crate) known: usize,
}

impl Publisher {
    pub(crate) fn end(self) -> Published {
        self.0.join().unwrap()
    }
}

/// Starts publishing the lines, each until it is stored.
pub(crate) fn publishing(place: &Place, lines: &str) -> Publisher {
    start(place, lines, AT_ONCE, |_| "orders.new".to_owned())
}

/// Starts publishing the lines in their order. `subject` gives the subject of a line.
pub(crate) fn publishing_in_order(
    place: &Place,
    lines: &str,
    subject: impl Fn(&str) -> String + Send + 'static,
) -> Publisher {
    start(place, lines, 1, subject)
}

fn start(
    place: &Place,
    lines: &str,
    at_once: usize,
    subject: impl Fn(&str) -> String + Send + 'static,
) -> Publisher {
    let (url, lines) = (place.broker.url(), lines.lines().map(str::to_owned).collect::<Vec<_>>());
    Publisher(thread::spawn(move || {
        runtime().block_on(async {
            let kept = until(async || Ok(Kept::connect_to(&url).await?)).await;
            let all = lines.len();
            let published = stream::iter(lines).map(|line| {
                let (kept, subject) = (&kept, subject(&line));
                async move { until(async || kept.publish(&subject, &line).await).await }
            });
            let known = published.buffered(at_once).filter(|known| std::future::ready(*known));
            Published { all, known: known.count().await }
        })
    }))
}

/// Publishes the lines, and waits until they are stored.
pub(crate) fn publish(place: &Place, lines: &str) -> Published {
    publishing(place, lines).end()
}

/// Repeats an exchange until the broker answers.
async fn until<R>(exchange: impl AsyncFn() -> Result<R, async_nats::Error>) -> R {
    loop {
        if let Ok(Ok(answer)) = timeout(EXCHANGE, exchange()).await {
            return answer;
        }
        sleep(Duration::from_millis(100)).await;
    }
}
