//! A broker that does not confirm the end of a message.

use std::{future::pending, time::Duration};

use tokio::time::{Instant, sleep};
use tokio_supervised::{CancellationToken, supervised};
use tokio_supervised_worker::{
    BoxError, Delivery, Disconnected, Disposition, MemoryDelivery, MemoryQueue, Queue, Settings,
    WorkerError,
};

use crate::rig::{Desk, beside, queue};

#[derive(Clone, Copy)]
enum Fault {
    Refuses,
    Hangs,
}

/// A queue that confirms nothing.
struct Silent(MemoryQueue<String>, Fault);

struct SilentDelivery(MemoryDelivery<String>, Fault);

impl Queue for Silent {
    type Delivery = SilentDelivery;
    type Error = Disconnected;

    fn system(&self) -> &'static str {
        "memory"
    }

    fn destination(&self) -> &str {
        "silent"
    }

    async fn connect(&mut self, settings: &Settings) -> Result<(), Disconnected> {
        self.0.connect(settings).await
    }

    async fn pull(&mut self, room: usize) -> Result<Vec<SilentDelivery>, Disconnected> {
        Ok(self.0.pull(room).await?.into_iter().map(|it| SilentDelivery(it, self.1)).collect())
    }
}

impl Delivery for SilentDelivery {
    type Body = String;

    fn id(&self) -> &str {
        self.0.id()
    }

    fn key(&self) -> Option<&[u8]> {
        self.0.key()
    }

    fn delivered(&self) -> u32 {
        self.0.delivered()
    }

    fn body(&mut self) -> Result<String, BoxError> {
        self.0.body()
    }

    async fn progress(&self) -> Result<(), BoxError> {
        self.0.progress().await
    }

    async fn settle(self, _how: Disposition) -> Result<(), BoxError> {
        match self.1 {
            Fault::Refuses => Err("no responders".into()),
            Fault::Hangs => pending().await,
        }
    }
}

/// Stops a worker that handles one message. Returns its result, and the time that it took to stop.
async fn stopped(fault: Fault) -> (Result<(), WorkerError>, Duration) {
    let (token, desk) = (CancellationToken::new(), Desk::default());
    let stop = async {
        sleep(Duration::from_millis(5)).await;
        token.cancel();
        Instant::now()
    };
    let worker = desk.worker(Silent(queue(["1"]), fault)).slots(1);
    let (ran, stopped) = beside(worker.run(&token), stop).await;
    (ran, stopped.elapsed())
}

#[supervised::test(start_paused = true)]
async fn an_end_that_the_broker_refuses_is_an_error() {
    let (ran, _) = stopped(Fault::Refuses).await;
    let error = ran.unwrap_err();
    assert_eq!(error.to_string(), "the broker did not confirm the end of 1 message");
}

#[supervised::test(start_paused = true)]
async fn an_end_that_the_broker_never_confirms_is_bounded() {
    let (ran, took) = stopped(Fault::Hangs).await;
    assert!(matches!(ran, Err(WorkerError::Unsettled(1))), "{ran:?}");
    assert!(took < Duration::from_secs(9), "{took:?}");
}
