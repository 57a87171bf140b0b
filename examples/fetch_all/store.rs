//! `--out DIR`: the pages as files.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use reqwest::Url;
use tokio::task::spawn_blocking;

/// Longer names are truncated: most file systems allow 255 bytes.
const LONGEST_NAME: usize = 120;

/// The directory of the stored pages.
pub(crate) struct Store {
    directory: PathBuf,
}

impl Store {
    /// Creates the directory if it does not exist.
    pub(crate) fn open(directory: &Path) -> anyhow::Result<Self> {
        let made = fs::create_dir_all(directory);
        made.with_context(|| format!("cannot make the directory `{}`", directory.display()))?;
        Ok(Self { directory: directory.to_owned() })
    }

    /// Writes one page. Its file exists completely or not at all.
    ///
    /// A fetch may be dropped at this `.await`. The blocking work cannot be aborted: if it has started, it continues to
    /// the rename; otherwise it never starts.
    pub(crate) async fn keep(
        &self,
        number: usize,
        url: &Url,
        body: impl AsRef<[u8]> + Send + 'static,
    ) -> io::Result<()> {
        let name = file_name(number, url);
        let partial = self.directory.join(format!(".{name}.part"));
        let whole = self.directory.join(name);
        spawn_blocking(move || {
            let written = fs::write(&partial, body).and_then(|()| fs::rename(&partial, &whole));
            if written.is_err() {
                // Report the first error.
                _ = fs::remove_file(&partial);
            }
            written
        })
        .await?
    }
}

/// `00042-example.com_a_b.html`: the number makes it unique and keeps it from being `..` or hidden, and
/// no character of the URL can leave the directory.
fn file_name(number: usize, url: &Url) -> String {
    let text = url.as_str();
    let text = text.split_once("://").map_or(text, |(_, rest)| rest);
    let safe = |c: char| if c.is_ascii_alphanumeric() || ".-".contains(c) { c } else { '_' };
    let name: String = text.chars().map(safe).take(LONGEST_NAME).collect();
    format!("{number:05}-{}", name.trim_end_matches(['_', '.']))
}
