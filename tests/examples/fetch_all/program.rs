//! The example `fetch_all` as a child process of a test that serves its pages meanwhile.

use std::{ffi::OsStr, ops::Deref, path::Path};

use testkit::program::{self, Signal};
use tokio::task::spawn_blocking;

/// Waits on a separate thread, so the test's server continues.
pub(crate) struct Program(Option<program::Program>);

impl Program {
    pub(crate) fn start<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Self {
        Self::start_in(Path::new("."), arguments, "")
    }

    /// Its standard input is this text, a few lines that the pipe holds.
    pub(crate) fn start_in<A: AsRef<OsStr>>(
        directory: &Path,
        arguments: impl IntoIterator<Item = A>,
        stdin: &str,
    ) -> Self {
        let variables = [("NO_PROXY", "127.0.0.1")];
        let mut program =
            program::Program::example_with("fetch_all", directory, arguments, variables);
        program.feed(stdin);
        program.close_stdin();
        Self(Some(program))
    }

    pub(crate) fn interrupt(&self) {
        self.0.as_ref().expect("it is not waited for").signal(Signal::SIGINT);
    }

    /// Waits for a line of standard error that contains this.
    pub(crate) async fn says(&mut self, text: &'static str) {
        let mut program = self.0.take().expect("it is not waited for");
        let wait = move || {
            while !program.next_remark().contains(text) {}
            program
        };
        self.0 = Some(spawn_blocking(wait).await.unwrap());
    }

    pub(crate) async fn end(mut self) -> Ended {
        let mut program = self.0.take().expect("it is not waited for");
        Ended(spawn_blocking(move || program.end()).await.unwrap())
    }
}

/// How it ended, and its table.
#[derive(Debug)]
pub(crate) struct Ended(program::Ended);

impl Deref for Ended {
    type Target = program::Ended;

    fn deref(&self) -> &program::Ended {
        &self.0
    }
}

impl Ended {
    /// The value in a column of the table.
    pub(crate) fn column(&self, head: &str) -> String {
        // `timed out` is the one head with a space in it.
        let table = self.stdout.replace("timed out", "timed_out");
        let mut lines = table.lines().map(str::split_whitespace);
        let (heads, values) = (lines.next().unwrap(), lines.next().unwrap());
        let mut columns = heads.zip(values);
        let column = columns.find(|(name, _)| *name == head.replace(' ', "_"));
        column.unwrap_or_else(|| panic!("no column `{head}`: {self:#?}")).1.to_owned()
    }

    /// The five counts: ok, failed, panicked, timed out, cancelled.
    pub(crate) fn counts(&self) -> [usize; 5] {
        ["ok", "failed", "panicked", "timed out", "cancelled"]
            .map(|head| self.column(head).parse().unwrap())
    }
}
