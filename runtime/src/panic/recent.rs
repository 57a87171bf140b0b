//! The last few panics, for inspection afterwards.

use std::{
    backtrace::Backtrace,
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use tokio::task::Id;

use crate::{
    error::Panic,
    panic::{PanicLocation, Site},
};

/// A backtrace takes some kilobytes: the list must not grow.
const MOST_RECENT: usize = 16;

static PANICS: Mutex<VecDeque<RecentPanic>> = Mutex::new(VecDeque::new());

/// A panic that a boundary caught some time ago.
#[derive(Clone)]
pub struct RecentPanic {
    task: &'static str,
    label: Option<Box<str>>,
    id: Option<Id>,
    message: Arc<str>,
    at: SystemTime,
    site: Option<Arc<Site>>,
}

impl RecentPanic {
    pub(crate) fn now(panic: &Panic) -> Self {
        Self {
            task: panic.task(),
            label: panic.label().map(Box::from),
            id: tokio::task::try_id(),
            message: panic.shared_message(),
            at: SystemTime::now(),
            site: panic.site(),
        }
    }

    /// The task that panicked: its `name`.
    #[must_use]
    pub fn task(&self) -> &'static str {
        self.task
    }

    /// The text that [`Supervised::label`](crate::Supervised::label) gave the call that panicked.
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }

    /// The tokio task in which it was caught, if it was in one.
    #[must_use]
    pub fn id(&self) -> Option<Id> {
        self.id
    }

    /// The message, as [`Panic::message`] returns it: at most about 8 KiB.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// When it was caught.
    #[must_use]
    pub fn at(&self) -> SystemTime {
        self.at
    }

    /// Where it panicked; `None` if [`Panic::location`] is.
    #[must_use]
    pub fn location(&self) -> Option<&PanicLocation> {
        self.site.as_ref().map(|site| &site.location)
    }

    /// The backtrace of the panic site, symbolised when it is first displayed; `None` if [`location`](Self::location)
    /// is. Its status may be `Disabled`: see [`Panic::backtrace`].
    #[must_use]
    pub fn backtrace(&self) -> Option<&Backtrace> {
        self.site.as_ref().map(|site| &site.backtrace)
    }
}

impl fmt::Debug for RecentPanic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecentPanic")
            .field("task", &self.task)
            .field("message", &self.message)
            .field("label", &self.label)
            .field("location", &self.location())
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// The last panics of supervised code that a boundary caught, the newest first, 16 at most.
///
/// ```
/// # use tokio_supervised::{supervised, recent_panics, CancellationToken, TaskError};
/// #[supervised(name = "divide")]
/// async fn divide(by: u32) -> Result<u32, TaskError> { Ok(1 / by) }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// divide(&CancellationToken::new(), 0).await.unwrap_err();
/// assert_eq!(recent_panics()[0].message(), "attempt to divide by zero");
/// # }
/// ```
#[must_use]
pub fn recent_panics() -> Vec<RecentPanic> {
    panics().iter().cloned().collect()
}

pub(crate) fn record(panic: &Panic) {
    let panic = RecentPanic::now(panic);
    let mut panics = panics();
    let surplus = if panics.len() == MOST_RECENT { panics.pop_back() } else { None };
    panics.push_front(panic);
    drop(panics);
    drop(surplus);
}

fn panics() -> MutexGuard<'static, VecDeque<RecentPanic>> {
    PANICS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panic::catch;

    #[test]
    fn the_last_panics_are_kept_newest_first() {
        let mine = |panics: &[RecentPanic]| {
            panics.iter().filter(|panics| panics.task() == "recent").count()
        };
        for number in 1..=MOST_RECENT + 3 {
            let message = number.to_string();
            let caught = catch(|| panic!("{message}")).expect_err("it panics");
            record(&Panic::new("recent", caught));
            let panics = recent_panics();
            let latest = panics.iter().find(|panics| panics.task() == "recent");
            assert_eq!(latest.map(RecentPanic::message), Some(&*message));
            // Other tests may panic meanwhile.
            assert!(
                panics.len() == MOST_RECENT || mine(&panics) == number,
                "{} of {number}",
                mine(&panics)
            );
            assert!(panics.len() <= MOST_RECENT);
        }
    }
}
