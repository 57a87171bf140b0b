//! Instructions and locked operations of parts of this program, counted by valgrind's callgrind.
//!
//! The program starts itself under callgrind. There it marks the ends of its parts with [`mark`]. A wall clock on a shared
//! machine cannot resolve 5 %; callgrind counts the same under any load.
//!
//! A locked operation is an atomic read-modify-write, for example of a reference count: a mutex of std takes two, one to lock
//! and one to unlock. Threads that do so on one cache line wait for each other, which no count of instructions shows.

use std::{
    fs,
    hint::black_box,
    io::ErrorKind,
    path::Path,
    process::{Command, Stdio},
};

/// The name of the function behind [`mark`], by which callgrind finds it.
const MARK: &str = "counted_from_here";

/// The counts of one part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub instructions: u64,
    pub locked: u64,
}

impl Counts {
    /// What this part has counted more than `other`.
    pub fn beyond(self, other: Self) -> Self {
        Self {
            instructions: self.instructions.saturating_sub(other.instructions),
            locked: self.locked.saturating_sub(other.locked),
        }
    }
}

/// A run of this program under callgrind.
pub struct Counted {
    /// The counts from one mark to the next. What came before the first mark is left out.
    pub parts: Vec<Counts>,
    pub stdout: String,
}

/// Ends a part.
pub fn mark() {
    counted_from_here();
}

#[inline(never)]
fn counted_from_here() {
    black_box(());
}

/// Runs this program under callgrind with these arguments; `None` without valgrind.
pub fn count(arguments: &[String]) -> Option<Counted> {
    let program = std::env::current_exe().expect("the program has a path");
    let file = program.with_extension("callgrind");
    _ = fs::remove_file(&file);
    let stdout = under_callgrind(&program, &file, arguments)?;
    let written = fs::read_to_string(&file).expect("callgrind has written its counts");
    _ = fs::remove_file(&file);
    let mut parts: Vec<Counts> = written.lines().filter_map(totals).collect();
    assert!(!parts.is_empty(), "callgrind has counted");
    parts.remove(0);
    Some(Counted { parts, stdout })
}

/// What the program printed; `None` without valgrind.
fn under_callgrind(program: &Path, file: &Path, arguments: &[String]) -> Option<String> {
    let (Some(directory), Some(name)) = (program.parent(), program.file_name()) else {
        unreachable!("a program has a name, and is in a directory");
    };
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet", "--combine-dumps=yes", "--collect-bus=yes"])
        .arg(format!("--dump-before=*{MARK}*"))
        .arg(format!("--callgrind-out-file={}", file.display()))
        // Started by its bare name: the arguments are allocated, and their length decides where the allocator
        // places later allocations. A path of five more characters made a spawn cost 5 % more.
        .arg(Path::new(".").join(name))
        .args(arguments)
        .current_dir(directory)
        // The environment is on the stack, and its length moves the rest.
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output();
    match output {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        output => {
            let output = output.expect("valgrind starts");
            assert!(output.status.success(), "the program failed under valgrind");
            Some(String::from_utf8(output.stdout).expect("the program prints UTF-8"))
        }
    }
}

/// The counts in a line such as `totals: 5123 17`, instructions and locked operations since the last mark. A last count that
/// is 0 may be left out.
fn totals(line: &str) -> Option<Counts> {
    let mut counts = line.strip_prefix("totals: ")?.split_whitespace();
    let mut next = || counts.next().map(|count| count.parse().expect("a count is a number"));
    Some(Counts { instructions: next()?, locked: next().unwrap_or(0) })
}
