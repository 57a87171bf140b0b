//! The tests of all binaries, each with the faults that it reaches.

use std::{
    collections::{BTreeMap, HashSet},
    env, fs,
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use crate::each::each;

/// The result for a fault.
pub(crate) enum End {
    /// Detected by this test, twice.
    Killed(String),
    /// Detected by these tests, which took far longer than without it.
    TimedOut(String),
    Survived,
    NotReached,
}

/// A test binary, run in the directory of its package: `folder=binary argument…`.
struct Binary {
    folder: String,
    command: Vec<String>,
}

struct Test {
    binary: usize,
    name: String,
    reached: HashSet<usize>,
    took: Duration,
}

pub(crate) struct Tests {
    binaries: Vec<Binary>,
    tests: Vec<Test>,
}

/// Run first: fast tests detect most faults.
const QUICK: Duration = Duration::from_millis(100);

impl Tests {
    /// Runs each test by itself, without a fault.
    ///
    /// # Panics
    ///
    /// If one fails three times: it says nothing about faults.
    pub(crate) fn look(binaries: &[&str]) -> Self {
        let binaries: Vec<_> = binaries.iter().map(|binary| Binary::new(binary)).collect();
        let names = binaries.iter().enumerate().flat_map(|(at, binary)| {
            binary.list().into_iter().map(move |name| (at, name)).collect::<Vec<_>>()
        });
        let tests = each(names.collect(), |(at, name)| binaries[at].look(at, name));
        let took: Duration = tests.iter().map(|test| test.took).sum();
        println!("{} tests, {took:?}", tests.len());
        Self { binaries, tests }
    }

    pub(crate) fn with(&self, number: usize) -> End {
        let mut batches: BTreeMap<(bool, usize), Vec<&Test>> = BTreeMap::new();
        for test in self.tests.iter().filter(|test| test.reached.contains(&number)) {
            batches.entry((test.took > QUICK, test.binary)).or_default().push(test);
        }
        if batches.is_empty() {
            return End::NotReached;
        }
        for ((_, binary), tests) in batches {
            let names: Vec<_> = tests.iter().map(|test| &*test.name).collect();
            let took: Duration = tests.iter().map(|test| test.took).sum();
            match self.binaries[binary].with(number, &names, took) {
                End::Survived => {}
                end => return end,
            }
        }
        End::Survived
    }
}

impl Binary {
    fn new(of: &str) -> Self {
        let (folder, command) = of.split_once('=').expect("folder=binary argument…");
        let command = command.split(' ').map(str::to_owned).collect();
        Self { folder: folder.to_owned(), command }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).current_dir(&self.folder);
        command.stdin(Stdio::null()).stderr(Stdio::null()).stdout(Stdio::piped());
        command.process_group(0);
        command
    }

    fn list(&self) -> Vec<String> {
        let listed = self.command().args(["--list", "--format", "terse"]).output();
        let listed = listed.expect("the tests start").stdout;
        let listed = String::from_utf8(listed).expect("names are UTF-8");
        listed.lines().filter_map(|line| line.strip_suffix(": test").map(str::to_owned)).collect()
    }

    fn look(&self, binary: usize, name: String) -> Test {
        let file = format!("mutants-{}-{binary}-{}", std::process::id(), name.replace("::", "-"));
        let file = env::temp_dir().join(file);
        let mut command = self.command();
        command.args(["--exact", &name]).env("MUTANTS_REACHED", &file);
        let took = (0..3).find_map(|_| {
            let started = Instant::now();
            let end = end(&mut command, Duration::from_secs(300));
            matches!(end, End::Survived).then(|| started.elapsed())
        });
        let took = took.unwrap_or_else(|| panic!("{name} fails without a fault"));
        let numbers = fs::read_to_string(&file).unwrap_or_default();
        _ = fs::remove_file(&file);
        let reached = numbers.lines().filter_map(|number| number.parse().ok()).collect();
        Test { binary, name, reached, took }
    }

    /// A failing test must fail again by itself: a flaky failure detects nothing.
    fn with(&self, number: usize, names: &[&str], took: Duration) -> End {
        match self.once(number, names, took) {
            End::Killed(name) if names.contains(&&*name) => {
                match self.once(number, &[&name], took) {
                    End::Survived if names.len() == 1 => End::Survived,
                    // The failure was flaky, or depends on other tests: all others are run.
                    End::Survived => {
                        let others = names.iter().copied().filter(|other| *other != name);
                        self.with(number, &others.collect::<Vec<_>>(), took)
                    }
                    end => end,
                }
            }
            end => end,
        }
    }

    fn once(&self, number: usize, names: &[&str], took: Duration) -> End {
        let mut command = self.command();
        command.arg("--exact").args(names).env("MUTANT", number.to_string());
        match end(&mut command, 4 * took + Duration::from_secs(20)) {
            // An aborted process names no test.
            End::Killed(name) if name.is_empty() => End::Killed(one_of(names)),
            End::TimedOut(_) => End::TimedOut(one_of(names)),
            end => end,
        }
    }
}

fn one_of(names: &[&str]) -> String {
    match names {
        [name] => (*name).to_owned(),
        [name, others @ ..] => format!("{name}, or {} others", others.len()),
        [] => String::new(),
    }
}

/// The first failure is enough: the rest is killed.
fn end(command: &mut Command, within: Duration) -> End {
    let mut child = command.spawn().expect("the tests start");
    let output = child.stdout.take().expect("the output is piped");
    let (line, lines) = mpsc::channel();
    thread::spawn(move || {
        for each in BufReader::new(output).lines().map_while(Result::ok) {
            if line.send(each).is_err() {
                return;
            }
        }
    });
    let until = Instant::now() + within;
    loop {
        match lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                if let Some(line) = line.strip_suffix(" ... FAILED") {
                    stop(&mut child);
                    let name = line.strip_prefix("test ").unwrap_or(line);
                    return End::Killed(name.trim_end_matches(" - should panic").to_owned());
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                stop(&mut child);
                return End::TimedOut(String::new());
            }
            Err(RecvTimeoutError::Disconnected) => {
                let status = child.wait().expect("the child can be awaited");
                stop(&mut child);
                return if status.success() { End::Survived } else { End::Killed(String::new()) };
            }
        }
    }
}

/// With its child processes, which it can no longer end itself.
fn stop(child: &mut Child) {
    let group = format!("-{}", child.id());
    _ = Command::new("kill").args(["-KILL", "--", &group]).status();
    _ = child.wait();
}
