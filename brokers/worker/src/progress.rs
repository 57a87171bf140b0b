//! Reports of progress, for as long as a message is in work.

use std::{convert::Infallible, future::Future, time::Duration};

use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};
use tracing::warn;

use crate::queue::Delivery;

/// The times at which progress on one message is due, over all its attempts and the waits between them.
pub(crate) struct Progress {
    every: Duration,
    due: Interval,
}

impl Progress {
    pub(crate) fn new(every: Duration) -> Self {
        let mut due = interval_at(Instant::now() + every, every);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { every, due }
    }

    /// Runs `work`, and reports progress meanwhile.
    pub(crate) async fn during<D: Delivery, F: Future>(
        &mut self,
        delivery: &D,
        work: F,
    ) -> F::Output {
        tokio::select! {
            biased;
            output = work => output,
            never = self.report(delivery) => match never {},
        }
    }

    async fn report<D: Delivery>(&mut self, delivery: &D) -> Infallible {
        loop {
            self.due.tick().await;
            // A report that hangs does not delay the next one.
            let reported = match timeout(self.every, delivery.progress()).await {
                Ok(reported) => reported.map_err(|error| error.to_string()),
                Err(elapsed) => Err(elapsed.to_string()),
            };
            if let Err(error) = reported {
                warn!(id = delivery.id(), error, "progress was not reported");
            }
        }
    }
}
