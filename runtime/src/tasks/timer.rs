//! A timer that is absent if the runtime has no timers.

use std::{
    task::{Context, Poll},
    time::Duration,
};

pub(crate) use crate::tasks::timer::by_tokio::Timer;

#[cfg(not(all(test, supervised_loom)))]
mod by_tokio {
    use std::{
        future::Future,
        pin::{Pin, pin},
    };

    use tokio::{
        task::coop::unconstrained,
        time::{Sleep, sleep},
    };

    use super::{Context, Duration, Poll};
    use crate::panic;

    pub(crate) struct Timer(Pin<Box<Sleep>>);

    impl Timer {
        /// Starts a timer. Returns `None` in a runtime without timers, where tokio would panic.
        pub(crate) fn start(lasts: Duration) -> Option<Self> {
            panic::catch(|| Self(Box::pin(sleep(lasts)))).ok()
        }

        /// Returns `Ready` once the time is over, even if the task has spent its cooperative budget.
        pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
            pin!(unconstrained(self.0.as_mut())).poll(cx)
        }
    }
}

/// In the models, a short timer fires at its second poll, and a long one never. Loom explores what other threads do
/// before that.
#[cfg(all(test, supervised_loom))]
mod by_tokio {
    use super::{Context, Duration, Poll};

    pub(crate) struct Timer {
        polled: bool,
    }

    impl Timer {
        pub(crate) fn start(lasts: Duration) -> Option<Self> {
            (lasts < Duration::from_secs(1)).then_some(Self { polled: false })
        }

        pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
            if self.polled {
                return Poll::Ready(());
            }
            self.polled = true;
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    }
}
