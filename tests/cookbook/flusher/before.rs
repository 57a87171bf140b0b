use std::{io, sync::{Arc, Mutex}, time::Duration};
use tokio::time::sleep;

async fn append(_lines: &[String]) -> io::Result<()> {
    Ok(())
}

const SECOND: Duration = Duration::from_secs(1);

// readme
fn start(buffer: Arc<Mutex<Vec<String>>>) {
    tokio::spawn(async move {
        loop {
            sleep(SECOND).await;
            // no longer in the buffer, not yet on disk:
            // an error or a panic here, and they are gone,
            let lines = std::mem::take(&mut *buffer.lock().unwrap());
            // and the loop has ended; nobody looks at the handle
            append(&lines).await.unwrap();
        }
    }); // SIGTERM: the last second is never written
}
// end
