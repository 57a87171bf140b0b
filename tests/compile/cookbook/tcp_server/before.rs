use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
};

fn answer(line: &str) -> String {
    line.to_uppercase()
}

// readme
async fn serve(listener: TcpListener) -> std::io::Result<()> {
    loop {
        // out of file descriptors: the server exits
        let (stream, _) = listener.accept().await?;
        // unbounded, and no list of them
        tokio::spawn(async move {
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            // a silent client keeps its task for ever
            while stream.read_line(&mut line).await? > 0 {
                let answer = answer(&line); // may panic: unseen
                stream.write_all(answer.as_bytes()).await?;
                line.clear();
            }
            std::io::Result::Ok(())
        });
    } // SIGTERM: answers under way are lost
}
// end
