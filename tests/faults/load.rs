//! The arguments of the runs of a test: they set how long a run takes and how it ends, and count drops.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::Poll,
    time::Duration,
};

pub(crate) use testkit::Failed;
use testkit::{Act, End};

/// Creates loads, and counts the live ones.
#[derive(Clone)]
pub(crate) struct Loads(Arc<AtomicUsize>);

impl Loads {
    pub(crate) fn new(alive: &Arc<AtomicUsize>) -> Self {
        Self(alive.clone())
    }

    /// Ready at its poll number `turns + 1`.
    pub(crate) fn turns(&self, turns: u32) -> Load {
        self.load(Act::ok(turns as usize), Duration::ZERO)
    }

    /// The same, and then it sleeps, by the runtime's clock.
    pub(crate) fn sleeps(&self, turns: u32, millis: u64) -> Load {
        self.load(Act::ok(turns as usize), Duration::from_millis(millis))
    }

    pub(crate) fn fails(&self, turns: u32) -> Load {
        self.load(Act::error(turns as usize), Duration::ZERO)
    }

    pub(crate) fn panics(&self, turns: u32) -> Load {
        self.load(Act::panic(turns as usize), Duration::ZERO)
    }

    /// Never ready.
    pub(crate) fn held(&self) -> Load {
        self.load(Act::NEVER, Duration::ZERO)
    }

    fn load(&self, act: Act, sleep: Duration) -> Load {
        self.0.fetch_add(1, SeqCst);
        Load { act, sleep, alive: self.0.clone() }
    }
}

pub(crate) struct Load {
    act: Act,
    sleep: Duration,
    alive: Arc<AtomicUsize>,
}

impl Load {
    /// The code of a body with this load.
    pub(crate) async fn carry(self) -> Result<u32, Failed> {
        for _ in 0..self.act.turns {
            turn().await;
        }
        if !self.sleep.is_zero() {
            tokio::time::sleep(self.sleep).await;
        }
        match self.act.end {
            End::Ok => Ok(self.act.turns as u32),
            End::Error => Err(Failed::own(0)),
            End::Panic => panic!("as asked"),
            End::Never => pending().await,
            End::OnCancel => unreachable!("no load waits for its token"),
        }
    }
}

impl Clone for Load {
    fn clone(&self) -> Self {
        Loads(self.alive.clone()).load(self.act, self.sleep)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, SeqCst);
    }
}

/// Pending once, having woken its task: one step, wherever it is polled.
pub(crate) async fn turn() {
    let mut has_been_pending = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut has_been_pending, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
