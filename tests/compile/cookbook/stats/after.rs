use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};
use tokio_supervised::{CancellationToken, map, supervised};

// readme
/// One lock around both: a reader sees all of a line
/// or nothing of it.
#[derive(Default)]
struct Counts(Mutex<(u64, u64)>);

impl Counts {
    fn add_line(&self, words: usize) {
        let counts = self.0.lock();
        let mut counts =
            counts.unwrap_or_else(PoisonError::into_inner);
        counts.0 += 1;
        counts.1 += words as u64;
    }
}

#[supervised(limit = 16)]
async fn count(counts: Arc<Counts>, file: PathBuf) -> io::Result<()> {
    let text = tokio::fs::read_to_string(file).await?;
    for line in text.lines() {
        counts.add_line(line.split_whitespace().count());
    }
    Ok(())
}

async fn count_all(
    token: &CancellationToken,
    files: Vec<PathBuf>,
) -> io::Result<Arc<Counts>> {
    let counts = Arc::new(Counts::default());
    let shared = counts.clone();
    let count = move |token, file| count(token, shared.clone(), file);
    map(token, files, count).await?; // or the first error
    Ok(counts)
}
// end
