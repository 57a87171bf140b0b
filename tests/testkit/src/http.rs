//! A client with one connection, which observes how the server handles it.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

/// For anything that a correct server answers soon.
const DEADLINE: Duration = Duration::from_secs(30);

pub struct Connection(BufReader<TcpStream>);

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// In lower case, as they came.
    headers: Vec<String>,
    pub body: Vec<u8>,
}

impl Connection {
    pub async fn open(address: &str) -> io::Result<Self> {
        Ok(Self(BufReader::new(TcpStream::connect(address).await?)))
    }

    /// Sends a request and waits for its answer. The connection stays open.
    pub async fn exchange(&mut self, method: &str, path: &str, body: &[u8]) -> io::Result<Answer> {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        self.send(&[head.as_bytes(), body].concat()).await?;
        self.answer().await
    }

    /// Sends bytes that need not be a whole request.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await
    }

    pub async fn answer(&mut self) -> io::Result<Answer> {
        timeout(DEADLINE, self.read_answer())
            .await
            .expect("an answer arrives, or the connection ends")
    }

    async fn read_answer(&mut self) -> io::Result<Answer> {
        let status = self.line().await?;
        let status = status.split(' ').nth(1).and_then(|code| code.parse().ok());
        let mut headers = Vec::new();
        loop {
            match self.line().await? {
                line if line.is_empty() => break,
                line => headers.push(line.to_ascii_lowercase()),
            }
        }
        let mut answer =
            Answer { status: status.expect("a status line"), headers, body: Vec::new() };
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        answer.body.resize(length, 0);
        self.0.read_exact(&mut answer.body).await?;
        Ok(answer)
    }

    async fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line).await?;
        match line.strip_suffix("\r\n") {
            Some(line) => Ok(line.to_owned()),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let value = |line: &'_ String| line.strip_prefix(name)?.strip_prefix(": ").map(str::len);
        self.headers.iter().find_map(|line| value(line).map(|length| &line[line.len() - length..]))
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the answer is text")
    }
}

/// Sends one request on a new connection.
pub async fn request(address: &str, method: &str, path: &str, body: &[u8]) -> Answer {
    let mut connection = Connection::open(address).await.expect("the server accepts");
    connection.exchange(method, path, body).await.expect("the server answers")
}
