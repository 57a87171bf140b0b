//! The tests, with one fault after the other.

use std::{
    collections::{HashMap, HashSet},
    env,
    fs::{self, OpenOptions},
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

/// How a fault fared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Killed,
    TimedOut,
    Survived,
    NotReached,
}

impl End {
    fn as_str(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::TimedOut => "timed-out",
            Self::Survived => "survived",
            Self::NotReached => "not-reached",
        }
    }
}

/// A test binary, run in the folder of its package: `folder=binary argument…`.
struct Tests {
    folder: String,
    command: Vec<String>,
    reached: HashSet<usize>,
    took: Duration,
}

/// Goes on where an earlier run ended: what is in `results` is not run again.
pub(crate) fn run(list: &Path, results: &Path, filter: &str, binaries: &[&str]) {
    let list = fs::read_to_string(list).expect("there is a list");
    let known = fs::read_to_string(results).unwrap_or_default();
    let known: HashSet<_> =
        known.lines().filter_map(|line| line.split_once(' ')).map(|(_, of)| of).collect();
    let todo: Vec<_> = list
        .lines()
        .filter(|line| line.contains(filter))
        .map(|line| line.split_once(' ').expect("a number and a place"))
        .filter(|(_, of)| !known.contains(of))
        .collect();
    let tests: Vec<_> = binaries.iter().map(|binary| Tests::look(binary)).collect();
    let mut results =
        OpenOptions::new().append(true).create(true).open(results).expect("results are writable");
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for (number, of) in todo {
        let number = number.parse().expect("a number");
        let end = tests.iter().fold(End::NotReached, |end, tests| match end {
            End::Killed | End::TimedOut => end,
            _ if tests.reached.contains(&number) => tests.with(number),
            _ => end,
        });
        writeln!(results, "{} {of}", end.as_str()).expect("results are writable");
        println!("{} {of}", end.as_str());
        *counts.entry(end.as_str()).or_default() += 1;
    }
    println!("{counts:?}");
}

impl Tests {
    fn look(binary: &str) -> Self {
        let (folder, command) = binary.split_once('=').expect("folder=binary argument…");
        let command = command.split(' ').map(str::to_owned).collect();
        let mut tests = Self {
            folder: folder.to_owned(),
            command,
            reached: HashSet::new(),
            took: Duration::from_secs(300),
        };
        let reached = env::temp_dir().join(format!("mutants-reached-{}", std::process::id()));
        let begun = Instant::now();
        let end = tests.end(tests.command().env("MUTANTS_REACHED", &reached));
        assert!(end == End::Survived, "without a fault the tests pass: {binary}");
        tests.took = begun.elapsed();
        let numbers = fs::read_to_string(&reached).unwrap_or_default();
        _ = fs::remove_file(&reached);
        tests.reached = numbers.lines().filter_map(|number| number.parse().ok()).collect();
        println!("{binary}: reaches {}, in {:?}", tests.reached.len(), tests.took);
        tests
    }

    fn with(&self, number: usize) -> End {
        self.end(self.command().env("MUTANT", number.to_string()))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).current_dir(&self.folder);
        command.stdin(Stdio::null()).stderr(Stdio::null()).stdout(Stdio::piped());
        command
    }

    /// The first failure is enough: the rest is not waited for.
    fn end(&self, command: &mut Command) -> End {
        let mut child = command.spawn().expect("the tests start");
        let output = child.stdout.take().expect("it is piped");
        let (line, lines) = mpsc::channel();
        thread::spawn(move || {
            for each in BufReader::new(output).lines().map_while(Result::ok) {
                if line.send(each).is_err() {
                    return;
                }
            }
        });
        let until = Instant::now() + 4 * self.took + Duration::from_secs(20);
        loop {
            match lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) if line.ends_with("FAILED") => {
                    stop(&mut child);
                    return End::Killed;
                }
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => {
                    stop(&mut child);
                    return End::TimedOut;
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let status = child.wait().expect("it can be waited for");
                    return if status.success() { End::Survived } else { End::Killed };
                }
            }
        }
    }
}

fn stop(child: &mut Child) {
    _ = child.kill();
    _ = child.wait();
}
