//! The arguments of the runs of a test: they set how long a run takes and how it ends, and count drops.

use std::{
    fmt,
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::Poll,
    time::Duration,
};

use tokio_supervised::TaskError;

/// Creates loads, and counts the live ones.
#[derive(Clone)]
pub(crate) struct Loads(Arc<AtomicUsize>);

impl Loads {
    pub(crate) fn new(alive: &Arc<AtomicUsize>) -> Self {
        Self(alive.clone())
    }

    /// Ready at poll `turns + 1`.
    pub(crate) fn turns(&self, turns: u32) -> Load {
        self.load(turns, Duration::ZERO, Ends::Well)
    }

    /// The same, followed by a sleep on the runtime's clock.
    pub(crate) fn sleeps(&self, turns: u32, millis: u64) -> Load {
        self.load(turns, Duration::from_millis(millis), Ends::Well)
    }

    pub(crate) fn fails(&self, turns: u32) -> Load {
        self.load(turns, Duration::ZERO, Ends::InAnError)
    }

    pub(crate) fn panics(&self, turns: u32) -> Load {
        self.load(turns, Duration::ZERO, Ends::InAPanic)
    }

    /// Never ready.
    pub(crate) fn held(&self) -> Load {
        self.load(0, Duration::ZERO, Ends::Never)
    }

    fn load(&self, turns: u32, sleep: Duration, ends: Ends) -> Load {
        self.0.fetch_add(1, SeqCst);
        Load { turns, sleep, ends, alive: self.0.clone() }
    }
}

#[derive(Clone, Copy)]
enum Ends {
    Well,
    InAnError,
    InAPanic,
    Never,
}

pub(crate) struct Load {
    turns: u32,
    sleep: Duration,
    ends: Ends,
    alive: Arc<AtomicUsize>,
}

impl Load {
    /// The behaviour of a body.
    pub(crate) async fn carry(self) -> Result<u32, Failed> {
        for _ in 0..self.turns {
            turn().await;
        }
        if !self.sleep.is_zero() {
            tokio::time::sleep(self.sleep).await;
        }
        match self.ends {
            Ends::Well => Ok(self.turns),
            Ends::InAnError => Err(Failed::AsAsked),
            Ends::InAPanic => panic!("as asked"),
            Ends::Never => pending().await,
        }
    }
}

impl Clone for Load {
    fn clone(&self) -> Self {
        Loads(self.alive.clone()).load(self.turns, self.sleep, self.ends)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, SeqCst);
    }
}

/// The error of the bodies.
#[derive(Debug)]
pub(crate) enum Failed {
    AsAsked,
    Converted(TaskError),
}

impl From<TaskError> for Failed {
    fn from(error: TaskError) -> Self {
        Self::Converted(error)
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AsAsked => f.write_str("as asked"),
            Self::Converted(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Failed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::AsAsked => None,
            Self::Converted(error) => Some(error),
        }
    }
}

/// Pending once after it has woken its task: one step, wherever it is polled.
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
