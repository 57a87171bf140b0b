//! Reads the URLs from arguments, files and standard input, and reports lines that are not URLs.

use std::{ffi::OsStr, fmt, io};

use reqwest::Url;
use tokio::io::AsyncReadExt;
use tokio_supervised::{CancellationToken, supervised};

/// The URLs of all sources.
#[derive(Default)]
pub(crate) struct List {
    pub(crate) urls: Vec<Url>,
    pub(crate) bad: Vec<BadLine>,
}

/// A line without a URL that could be fetched.
pub(crate) struct BadLine {
    place: String,
    reason: String,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.reason)
    }
}

impl List {
    /// Reads every source. A bad line or an unreadable file does not affect the others.
    ///
    /// # Errors
    ///
    /// The cancellation, if the token fires first.
    pub(crate) async fn read<S: AsRef<OsStr>>(
        token: &CancellationToken,
        sources: &[S],
    ) -> io::Result<Self> {
        let mut list = Self::default();
        for (at, source) in sources.iter().map(AsRef::as_ref).enumerate() {
            if let Some(url) = source.to_str().filter(|source| source.contains("://")) {
                list.add(format!("argument {}", at + 1), url);
                continue;
            }
            let name =
                if source == "-" { "standard input".into() } else { source.to_string_lossy() };
            match read(token, source).await {
                Ok(bytes) => list.add_lines(&name, &bytes),
                Err(error) if token.is_cancelled() => return Err(error),
                Err(error) => {
                    let reason = format!("cannot be read: {error} (a URL starts with `http://`)");
                    list.bad.push(BadLine { place: name.into_owned(), reason });
                }
            }
        }
        Ok(list)
    }

    fn add_lines(&mut self, name: &str, bytes: &[u8]) {
        for (at, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
            let place = format!("{name}:{}", at + 1);
            match std::str::from_utf8(line) {
                Ok(line) => match without_comment(line) {
                    "" => {}
                    text => self.add(place, text),
                },
                Err(_) => self.bad.push(BadLine { place, reason: "not UTF-8".to_owned() }),
            }
        }
    }

    fn add(&mut self, place: String, text: &str) {
        match parse(text) {
            Ok(url) => self.urls.push(url),
            Err(reason) => self.bad.push(BadLine { place, reason }),
        }
    }
}

/// Standard input may stay silent forever: a supervised read stops when the token fires.
#[supervised(name = "read a list")]
async fn read(source: &OsStr) -> io::Result<Vec<u8>> {
    if source == "-" {
        let mut bytes = Vec::new();
        tokio::io::stdin().read_to_end(&mut bytes).await?;
        Ok(bytes)
    } else {
        tokio::fs::read(source).await
    }
}

/// A `#` at the start or after a space starts a comment; inside a URL it starts the fragment.
fn without_comment(line: &str) -> &str {
    let begins =
        |&(at, _): &(usize, &str)| line[..at].chars().last().is_none_or(char::is_whitespace);
    let comment = line.match_indices('#').find(begins);
    comment.map_or(line, |(at, _)| &line[..at]).trim()
}

fn parse(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("`{text}` is no URL: {error}"))?;
    match url.scheme() {
        "http" => Ok(url),
        "https" => Err(format!("`{text}` needs TLS, which this program is built without")),
        other => Err(format!("`{text}` is no web page: the scheme is `{other}`, not `http`")),
    }
}
