//! How many runs of one function may be under way at once.

use tokio::sync::Semaphore;

/// The permits of one function; first come, first served.
pub(crate) struct Limit {
    permits: Semaphore,
    size: usize,
}

/// The right to run; given back when it is dropped.
pub(crate) struct Permit(&'static Limit);

impl Limit {
    /// # Panics
    ///
    /// Where `size` is 0. In a `static` the compiler tells.
    pub(crate) const fn new(size: usize) -> Self {
        assert!(size > 0, "`limit` must not be 0: nothing would ever run");
        let most = if size > Semaphore::MAX_PERMITS { Semaphore::MAX_PERMITS } else { size };
        Self { permits: Semaphore::const_new(most), size: most }
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// A permit that is free now, unless others wait for it already.
    pub(crate) fn try_acquire(&'static self) -> Option<Permit> {
        let permit = self.permits.try_acquire().ok()?;
        permit.forget();
        Some(Permit(self))
    }

    /// Waits for a permit.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits, it gives up its place in the queue and takes nothing.
    pub(crate) async fn acquire(&'static self) -> Permit {
        let permit = self.permits.acquire().await;
        permit.expect("the semaphore of a limit is never closed").forget();
        Permit(self)
    }
}

impl Drop for Permit {
    #[inline]
    fn drop(&mut self) {
        self.0.permits.add_permits(1);
    }
}
