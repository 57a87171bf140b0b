use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    sync::mpsc,
};

// readme
async fn run() -> anyhow::Result<()> {
    // a slow writer: all of the input in memory
    let (to_parse, mut lines) = mpsc::unbounded_channel();
    let (to_write, mut numbers) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut input = BufReader::new(tokio::io::stdin()).lines();
        // a read that fails: a short input, and success
        while let Some(line) = input.next_line().await.unwrap() {
            to_parse.send(line).unwrap();
        }
    });
    tokio::spawn(async move {
        while let Some(line) = lines.recv().await {
            // a bad line: half a result, and success
            to_write.send(line.parse::<u64>()?)?;
        }
        anyhow::Ok(())
    });
    let mut out = tokio::io::stdout();
    while let Some(number) = numbers.recv().await {
        out.write_all(format!("{number}\n").as_bytes()).await?;
    }
    Ok(()) // Ctrl-C: lines in the channels are lost
}
// end
