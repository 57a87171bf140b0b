use std::{sync::{Arc, Mutex}, time::Duration};
use tokio::{
    fs::File,
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, stdin},
    time::interval,
};

const EVERY: Duration = Duration::from_secs(1);

// readme
async fn read_and_flush(mut file: File) -> anyhow::Result<()> {
    let buffer = Arc::new(Mutex::new(Vec::new()));
    let lines = buffer.clone();
    tokio::spawn(async move {
        let mut ticker = interval(EVERY);
        loop {
            ticker.tick().await;
            let batch = std::mem::take(&mut *lines.lock().unwrap());
            // full disk: the batch is lost and the loop ends;
            // lines pile up in memory, and nothing is logged
            file.write_all(&batch).await.unwrap();
        }
    });
    let mut input = BufReader::new(stdin()).lines();
    while let Some(line) = input.next_line().await? {
        let mut buffer = buffer.lock().unwrap();
        buffer.extend_from_slice(line.as_bytes());
        buffer.push(b'\n');
    }
    Ok(()) // lines after the last tick are lost
}
// end
