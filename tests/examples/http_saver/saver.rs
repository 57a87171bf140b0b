//! The program with a temporary directory.

use std::{collections::BTreeMap, fs, path::PathBuf};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use testkit::program::{Ended, Program};

pub(crate) struct Saver {
    program: Program,
    pub(crate) address: String,
    place: TempDir,
}

impl Saver {
    /// Starts it, and waits until it listens.
    pub(crate) fn start<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Self {
        let place = tempfile::tempdir().unwrap();
        let always = ["--listen", "127.0.0.1:0", "--directory", "saved"];
        let mut program =
            Program::example("http_saver", place.path(), always.into_iter().chain(arguments));
        let ready = program.next_line();
        let address = ready.strip_prefix("READY ").expect("it prints its address").to_owned();
        Self { program, address, place }
    }

    pub(crate) fn directory(&self) -> PathBuf {
        self.place.path().join("saved")
    }

    /// The files, complete ones and others.
    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        files(&self.place)
    }

    pub(crate) fn terminate(&self) {
        self.program.signal(Signal::SIGTERM);
    }

    /// Waits until it has reported the signal.
    pub(crate) fn wait_for_signal(&mut self) {
        while !self.program.next_remark().contains("shutting down") {}
    }

    /// Waits for the end on another thread, while the test's clients continue.
    pub(crate) async fn end(self) -> (Ended, BTreeMap<String, Vec<u8>>) {
        let Self { mut program, place, .. } = self;
        let ended = tokio::task::spawn_blocking(move || program.close_stdin().end()).await.unwrap();
        (ended, files(&place))
    }
}

fn files(place: &TempDir) -> BTreeMap<String, Vec<u8>> {
    let Ok(directory) = fs::read_dir(place.path().join("saved")) else { return BTreeMap::new() };
    let read = directory
        .map(|file| file.unwrap())
        .map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap()));
    read.collect()
}
