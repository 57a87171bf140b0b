//! How many pages have ended: the bar on a terminal, and a count to wait for.

use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::watch;

/// The bar hides itself if standard error is not a terminal.
pub(crate) struct Progress {
    bar: ProgressBar,
    ended: watch::Sender<usize>,
}

impl Progress {
    pub(crate) fn new(pages: usize) -> Self {
        let bar = ProgressBar::new(pages as u64);
        let template = "{bar:40} {pos}/{len} {elapsed} {wide_msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self { bar, ended: watch::Sender::new(0) }
    }

    /// Counts a page when the guard is dropped: its fetch has returned, panicked, or was dropped.
    pub(crate) fn count_at_the_end(&self) -> impl Drop + '_ {
        Counted(self)
    }

    pub(crate) fn show(&self, title: &str) {
        self.bar.set_message(title.to_owned());
    }

    /// Waits until `count` pages have ended.
    pub(crate) async fn reaches(&self, pages: usize) {
        // `self` holds the sender, so it still exists.
        _ = self.ended.subscribe().wait_for(|&ended| ended >= pages).await;
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

struct Counted<'a>(&'a Progress);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.bar.inc(1);
        self.0.ended.send_modify(|ended| *ended += 1);
    }
}
