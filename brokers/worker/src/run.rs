//! The loop.
//!
//! Invariants
//!
//! 1. A slot is held before a message is requested. (`no_more_messages_are_pulled_than_slots_are_free`)
//! 2. Every delivery that was requested gets a task, also after the token has fired: none is dropped unsettled.
//!    (`messages_of_the_last_pull_are_handled`)
//! 3. Every wait ends when the token fires, a stuck pull after [`PULLING`]. (`a_stuck_queue_does_not_hold_the_drain`,
//!    `messages_beyond_the_room_do_not_hold_the_drain`)
//! 4. A lost connection ends no message. (`a_lost_connection_is_replaced_and_ends_no_message`)
//! 5. The messages know that the worker stops, also if its token has not fired.
//!    (`a_setting_error_after_a_reconnect_ends_the_waits`)

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use tokio::time::{sleep, timeout};
use tokio_supervised::{CancellationToken, Pool, Ready, Slot, SupervisedFuture};
use tracing::{error, info, warn};

use crate::{
    backoff::Backoff,
    error::{SettingError, WorkerError},
    message::{Shared, message},
    meter::Meter,
    order::Turns,
    queue::{BoxError, Delivery, Queue, Settings},
    worker::Class,
};

/// How long a pull may continue after the token has fired.
const PULLING: Duration = Duration::from_secs(3);

/// How long the queue may take to close.
const CLOSING: Duration = Duration::from_secs(10);

pub(crate) struct Plan<F, E> {
    pub(crate) handle: F,
    pub(crate) settings: Settings,
    pub(crate) retry: Backoff,
    pub(crate) reconnect: Backoff,
    pub(crate) classify: Box<dyn Fn(&E) -> Class + Send + Sync>,
    pub(crate) ready: Option<Ready>,
}

pub(crate) async fn run<Q, F, S, E>(
    token: &CancellationToken,
    mut queue: Q,
    plan: Plan<F, E>,
) -> Result<(), WorkerError>
where
    Q: Queue,
    F: Fn(CancellationToken, <Q::Delivery as Delivery>::Body) -> S + Send + Sync + 'static,
    S: SupervisedFuture + Future<Output = Result<(), E>> + Send + 'static,
    E: fmt::Display + Send + 'static,
{
    let Plan { handle, settings, retry, reconnect, classify, ready } = plan;
    let meter = Meter::new(queue.system(), queue.destination());
    let unsettled = AtomicUsize::new(0);
    let stopping = token.child_token();
    let shared = Shared { handle, classify, retry, settings, meter, stopping, unsettled };
    let shared = Arc::new(shared);
    let pool = Pool::new(shared.settings.slots);

    let consumed = consume(token, &mut queue, &pool, &shared, reconnect, ready.as_ref()).await;
    if let Err(error) = &consumed {
        // The drain may take its whole limit, and its error is the one that is returned.
        error!(%error, "the settings of the worker contradict each other: it stops");
    }
    shared.stopping.cancel();
    let drained = pool.drain(shared.settings.drain).await;
    let closed = timeout(CLOSING, queue.close()).await;

    drained.map_err(WorkerError::Unfinished)?;
    consumed.map_err(WorkerError::Setting)?;
    match closed {
        Ok(closed) => closed.map_err(|error| WorkerError::Close(error.into()))?,
        Err(elapsed) => return Err(WorkerError::Close(elapsed.into())),
    }
    match shared.unsettled.load(Ordering::Relaxed) {
        0 => Ok(()),
        count => Err(WorkerError::Unsettled(count)),
    }
}

/// Connects and pulls until the token fires.
async fn consume<Q, F, S, E>(
    token: &CancellationToken,
    queue: &mut Q,
    pool: &Pool,
    shared: &Arc<Shared<F, E>>,
    reconnect: Backoff,
    ready: Option<&Ready>,
) -> Result<(), SettingError>
where
    Q: Queue,
    F: Fn(CancellationToken, <Q::Delivery as Delivery>::Body) -> S + Send + Sync + 'static,
    S: SupervisedFuture + Future<Output = Result<(), E>> + Send + 'static,
    E: fmt::Display + Send + 'static,
{
    let settings = &shared.settings;
    let mut turns = Turns::new(settings.slots);
    let mut failures = 0;
    loop {
        let connected = token.run_until_cancelled(queue.connect(settings)).await;
        let failed: BoxError = match connected {
            None => return Ok(()),
            Some(Err(error)) => error.into(),
            Some(Ok(())) => {
                queue.check(settings)?;
                info!(system = queue.system(), destination = queue.destination(), "connected");
                if let Some(ready) = ready {
                    ready.set();
                }
                match pull(token, queue, pool, shared, &mut turns, &mut failures).await {
                    Ok(()) => return Ok(()),
                    Err(error) => error.into(),
                }
            }
        };
        failures += 1;
        let after = reconnect.jittered(failures);
        let (system, destination) = (queue.system(), queue.destination());
        warn!(system, destination, error = format!("{failed:#}"), ?after, "the queue is away");
        if token.run_until_cancelled(sleep(after)).await.is_none() {
            return Ok(());
        }
    }
}

/// Pulls until the token fires, or the connection is lost.
async fn pull<Q, F, S, E>(
    token: &CancellationToken,
    queue: &mut Q,
    pool: &Pool,
    shared: &Arc<Shared<F, E>>,
    turns: &mut Turns,
    failures: &mut u32,
) -> Result<(), Q::Error>
where
    Q: Queue,
    F: Fn(CancellationToken, <Q::Delivery as Delivery>::Body) -> S + Send + Sync + 'static,
    S: SupervisedFuture + Future<Output = Result<(), E>> + Send + 'static,
    E: fmt::Display + Send + 'static,
{
    loop {
        let mut slots = match free_slots(token, pool).await {
            Some(slots) => slots,
            // Messages that were requested with these slots may still arrive.
            None => slots_now(pool, queue.open()).await,
        };
        if slots.is_empty() {
            return Ok(());
        }
        let pulled = tokio::select! {
            biased;
            pulled = queue.pull(slots.len()) => pulled?,
            () = expiry(token) => {
                warn!(limit = ?PULLING, "the last pull did not end in time: its messages are delivered again");
                return Ok(());
            }
        };
        // Not at `connect`: one that succeeds while each pull fails must not restart the backoff.
        *failures = 0;
        for delivery in pulled {
            // More messages than were requested wait for a slot each.
            let slot = match slots.pop() {
                Some(slot) => slot,
                None => match token.run_until_cancelled(pool.reserve()).await {
                    Some(Ok(slot)) => slot,
                    Some(Err(_)) | None => {
                        warn!(
                            id = delivery.id(),
                            "the queue returned more messages than were requested: those without a slot are delivered again"
                        );
                        return Ok(());
                    }
                },
            };
            shared.meter.consumed();
            let key = delivery.key().filter(|_| shared.settings.ordered);
            let turn = key.map(|key| turns.next(key));
            let (shared, id) = (shared.clone(), delivery.id().to_owned());
            slot.spawn(move |token| message(token, shared, delivery, turn).label(id));
        }
    }
}

/// Acquires all free slots, at least one. `None` once the token has fired.
async fn free_slots(token: &CancellationToken, pool: &Pool) -> Option<Vec<Slot>> {
    // The worker alone closes its pool.
    let first = token.run_until_cancelled(pool.reserve()).await?.ok()?;
    let mut slots = vec![first];
    slots.append(&mut slots_now(pool, usize::MAX).await);
    Some(slots)
}

/// Acquires at most `count` slots that are free now.
async fn slots_now(pool: &Pool, count: usize) -> Vec<Slot> {
    let mut slots = Vec::new();
    while slots.len() < count {
        let Some(Ok(next)) = now_or_never(pool.reserve()).await else { break };
        slots.push(next);
    }
    slots
}

/// Polls a future once.
async fn now_or_never<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|context| {
        Poll::Ready(match future.as_mut().poll(context) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

/// Ends when a pull must, after the token has fired.
async fn expiry(token: &CancellationToken) {
    token.cancelled().await;
    sleep(PULLING).await;
}
