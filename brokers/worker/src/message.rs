//! One message: its attempts, and its end.
//!
//! Invariants
//!
//! 1. A message is settled once, after its last attempt, in one shield: a cancellation neither prevents nor repeats it.
//!    (`a_message_that_ends_during_the_drain_is_settled`)
//! 2. After its token has fired no attempt starts, and a failure returns the message to the queue: nothing is given up
//!    because the worker stops. (`a_message_that_is_cancelled_returns_to_the_queue`) A wait in a slot does not delay the
//!    drain. (`a_message_that_waits_for_a_retry_in_its_slot_returns`)
//! 3. A message that was delivered too often is not started, and removed only if a dead letter is stored.
//!    (`a_message_that_kills_its_workers_is_given_up_unstarted`, `an_unstarted_message_is_never_removed_unstored`)
//! 4. Progress is reported from its start to its settlement, also between attempts and while it waits for its key.
//!    (`progress_continues_between_attempts`)

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep, timeout};
use tokio_supervised::{CancellationToken, SupervisedFuture, shield, supervised};
use tracing::{debug, error, info, warn};

use crate::{
    backoff::Backoff,
    meter::Meter,
    order::Turn,
    progress::Progress,
    queue::{BoxError, Delivery, Disposition, Settings},
    worker::Class,
};

/// How long the settlement of a message may take.
const SETTLING: Duration = Duration::from_secs(8);

/// The longest reason of a dead letter, in bytes.
const LONGEST_REASON: usize = 1_024;

/// How many times as often as it may fail a message may be delivered. Deliveries that end with a drain or with the end of
/// the worker are not the message's fault.
const DELIVERIES_PER_ATTEMPT: u32 = 2;

/// What the messages of a worker share.
pub(crate) struct Shared<F, E> {
    pub(crate) handle: F,
    pub(crate) classify: Box<dyn Fn(&E) -> Class + Send + Sync>,
    pub(crate) retry: Backoff,
    pub(crate) settings: Settings,
    pub(crate) meter: Meter,
    /// Fires when the worker stops: from then on a failed message is not tried again.
    pub(crate) stopping: CancellationToken,
    /// Messages whose end the broker has not confirmed since the worker stops.
    pub(crate) unsettled: AtomicUsize,
}

/// Handles one message and settles it.
// The drain bounds it. A grace would cut a function that has a longer one.
#[supervised(name = "message", grace = "none")]
pub(crate) async fn message<D, F, S, E>(
    token: &CancellationToken,
    shared: Arc<Shared<F, E>>,
    mut delivery: D,
    mut turn: Option<Turn>,
) -> Result<(), BoxError>
where
    D: Delivery,
    F: Fn(CancellationToken, D::Body) -> S + Send + Sync + 'static,
    S: SupervisedFuture + Future<Output = Result<(), E>> + Send + 'static,
    E: fmt::Display + Send + 'static,
{
    let delivered = delivery.delivered();
    if delivered > 1 {
        info!(id = delivery.id(), delivered, "delivered again");
    }
    let mut progress = Progress::new(shared.settings.progress);
    let is_next = match &mut turn {
        Some(turn) => progress.during(&delivery, token.run_until_cancelled(turn.wait())).await,
        None => Some(true),
    };
    let how = match is_next {
        Some(true) => attempts(token, &shared, &mut delivery, &mut progress).await,
        Some(false) | None => Disposition::Requeue,
    };
    log(&delivery, &how, shared.settings.dead_letters.is_none());
    if let (Disposition::Requeue, Some(turn)) = (&how, &mut turn) {
        turn.return_to_queue();
    }
    let id = delivery.id().to_owned();
    let settled = shield(SETTLING, |_| timeout(SETTLING, delivery.settle(how))).await;
    let error = match settled {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => error,
        Err(elapsed) => elapsed.into(),
    };
    if shared.stopping.is_cancelled() {
        shared.unsettled.fetch_add(1, Ordering::Relaxed);
    }
    Err(format!("message `{id}` is not settled and may be delivered again: {error}").into())
}

async fn attempts<D, F, S, E>(
    token: &CancellationToken,
    shared: &Shared<F, E>,
    delivery: &mut D,
    progress: &mut Progress,
) -> Disposition
where
    D: Delivery,
    F: Fn(CancellationToken, D::Body) -> S,
    S: Future<Output = Result<(), E>>,
    E: fmt::Display,
{
    let Settings { attempts, ordered, ref dead_letters, .. } = shared.settings;
    let delivered = delivery.delivered();
    if delivered > attempts.saturating_mul(DELIVERIES_PER_ATTEMPT) {
        let times = delivered - 1;
        let reason =
            format!("not started: none of {times} earlier deliveries was reported as done");
        if dead_letters.is_some() {
            return Disposition::DeadLetter(reason);
        }
        // Drains and kills also count as deliveries: it may be a message that nothing is wrong with.
        let after = shared.retry.longest;
        error!(
            id = delivery.id(),
            delivered,
            ?after,
            reason,
            "kept: there is no dead-letter destination"
        );
        return Disposition::RetryAfter(after);
    }
    let (mut retried, mut external) = (0, 0);
    loop {
        if token.is_cancelled() {
            return Disposition::Requeue;
        }
        let body = match delivery.body() {
            Ok(body) => body,
            Err(error) => {
                return Disposition::DeadLetter(reason(&format_args!("unreadable: {error}")));
            }
        };
        let start = Instant::now();
        let ended = progress.during(&*delivery, (shared.handle)(token.clone(), body)).await;
        let Err(error) = ended else {
            shared.meter.processed(start.elapsed(), None);
            return Disposition::Done;
        };
        if token.is_cancelled() {
            shared.meter.processed(start.elapsed(), Some("cancelled"));
            return Disposition::Requeue;
        }
        let class = (shared.classify)(&error);
        shared.meter.processed(start.elapsed(), Some(class.as_str()));
        let attempt = delivered.saturating_add(retried);
        let reason = reason(&error);
        let after = match class {
            Class::Permanent => return Disposition::DeadLetter(reason),
            Class::Transient if attempt >= attempts => return Disposition::DeadLetter(reason),
            Class::Transient => {
                retried += 1;
                shared.retry.after(attempt)
            }
            Class::External => {
                external += 1;
                shared.retry.after(external)
            }
        };
        warn!(
            id = delivery.id(),
            class = class.as_str(),
            attempt,
            ?after,
            reason,
            "attempt failed"
        );
        // In the queue it would lose its place within its key, or count as delivered again.
        let stays = ordered || class == Class::External;
        if !stays {
            return Disposition::RetryAfter(after);
        }
        let waited = shared.stopping.run_until_cancelled(sleep(after));
        if progress.during(&*delivery, waited).await.is_none() {
            return Disposition::Requeue;
        }
    }
}

fn log(delivery: &impl Delivery, how: &Disposition, is_lost: bool) {
    let (id, delivered) = (delivery.id(), delivery.delivered());
    match how {
        Disposition::Done | Disposition::RetryAfter(_) => {}
        Disposition::Requeue => debug!(id, "returned to the queue"),
        Disposition::DeadLetter(reason) if is_lost => {
            error!(
                id,
                delivered, reason, "given up and dropped: there is no dead-letter destination"
            );
        }
        Disposition::DeadLetter(reason) => warn!(id, delivered, reason, "given up"),
    }
}

/// The text of an error, on one line and of bounded length: brokers keep it in a header.
fn reason(error: &dyn fmt::Display) -> String {
    let text = format!("{error:#}");
    let mut end = text.len().min(LONGEST_REASON);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_of_bounded_length() {
        assert_eq!(reason(&"one\ntwo\r\x1b[0m"), "one two  [0m");
        let long = reason(&"ä".repeat(1_000));
        assert!(long.len() <= LONGEST_REASON && long.ends_with('ä'), "{}", long.len());
        assert_eq!(reason(&format!("a{}", "ä".repeat(1_000))).len(), LONGEST_REASON - 1);
    }
}
