//! One order: the functions that the program is about.

use std::{convert::Infallible, num::ParseIntError, str::Utf8Error, sync::Arc, time::Duration};

use tokio::{
    select,
    time::{Instant, interval_at, sleep},
};
use tokio_supervised::{CancellationToken, TaskError, shield, supervised};
use tracing::{info, warn};

use crate::{
    desk::Desk,
    order::Order,
    settle::{put_back, settle},
};

/// How long the end of an order may take: recording it, and acknowledging it to the broker.
const SETTLING: Duration = Duration::from_secs(8);

/// Handles one order, and reports its end to the broker, however it ended.
///
/// When cancelled, it abandons the work and returns the order at once; an order whose work has ended is settled.
#[supervised(name = "handle", grace = "9s")]
pub(crate) async fn handle(
    token: &CancellationToken,
    desk: Arc<Desk>,
    order: Order,
) -> anyhow::Result<()> {
    if order.delivered > 1 {
        info!(id = order.id, delivered = order.delivered, "delivered again");
    }
    let end = if order.delivered > desk.deliveries {
        Err(WorkError::NeverEnded(desk.deliveries))
    } else {
        select! {
            end = item_price(token, &order.text, desk.work) => end,
            never = say_that_it_goes_on(&desk, &order) => match never {},
        }
    };
    if let Err(WorkError::Task(error @ TaskError::Cancelled(_))) = end {
        shield(SETTLING, |token| put_back(token, desk, order, Duration::ZERO)).await?;
        return Err(error.into());
    }
    shield(SETTLING, |token| settle(token, desk, order, end)).await
}

/// The price of one item of an order: `17 3 600` gives 200 for the order 17.
///
/// It trusts the order to have items, as code that was tested with good messages does: an order without items divides
/// by zero, which panics. The panic costs only that order.
#[supervised(name = "item price", timeout = "10s")]
async fn item_price(message: &[u8], work: Duration) -> Result<Price, WorkError> {
    if !work.is_zero() {
        sleep(work).await;
    }
    let mut numbers = std::str::from_utf8(message)?.split_ascii_whitespace().map(str::parse::<i64>);
    let mut number = |what| numbers.next().ok_or(WorkError::Missing(what));
    let (order, items, cents) = (number("order")??, number("items")??, number("cents")??);
    Ok(Price { order, cents: cents / items })
}

/// Reports progress every third of the broker's timeout: two reports may be lost.
async fn say_that_it_goes_on(desk: &Desk, order: &Order) -> Infallible {
    let often = desk.ack_wait / 3;
    let mut due = interval_at(Instant::now() + often, often);
    loop {
        due.tick().await;
        if let Err(error) = desk.broker.report_progress(order.reply.clone()).await {
            warn!(id = order.id, %error, "progress was not reported");
        }
    }
}

pub(crate) struct Price {
    pub(crate) order: i64,
    pub(crate) cents: i64,
}

/// Why an order has no price.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkError {
    /// Errors of the boundary: a panic, the timeout.
    #[error(transparent)]
    Task(#[from] TaskError),
    #[error("{0} deliveries, and no worker came to an end with it")]
    NeverEnded(i64),
    #[error("missing field: {0}")]
    Missing(&'static str),
    #[error(transparent)]
    Number(#[from] ParseIntError),
    #[error(transparent)]
    Text(#[from] Utf8Error),
}

impl WorkError {
    /// Another attempt may end differently: a panic or a timeout may be temporary, a bad text is not.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Task(_))
    }
}
