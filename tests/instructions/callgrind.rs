//! Runs this program under callgrind and reads its output.

use std::{
    collections::BTreeMap,
    fs,
    io::ErrorKind,
    path::Path,
    process::{Command, Stdio},
};

use crate::cases;

/// The argument of the run whose instructions are counted.
pub(crate) const COUNTED: &str = "--counted";

/// Instructions of one unit, by case; `None` without valgrind.
pub(crate) fn count() -> Option<BTreeMap<String, u64>> {
    let program = std::env::current_exe().expect("the program has a path");
    let file = program.with_extension("callgrind");
    _ = fs::remove_file(&file);
    let ran = under_callgrind(&program, &file)?;
    assert!(ran, "the program failed under valgrind");
    let written = fs::read_to_string(&file).expect("callgrind has written its counts");
    let totals: Vec<u64> = written.lines().filter_map(total).collect();
    let (_until_the_first_mark, totals) = totals.split_first().expect("callgrind has counted");
    assert_eq!(
        totals.len(),
        cases::ALL.len() * cases::PARTS,
        "callgrind writes a count at each mark"
    );
    let counts = cases::ALL.iter().zip(totals.chunks(cases::PARTS)).map(|(case, parts)| {
        let more = parts[cases::DOUBLE].saturating_sub(parts[cases::SINGLE]);
        (case.name.to_owned(), (more + case.units / 2) / case.units)
    });
    Some(counts.collect())
}

/// Whether it succeeded; `None` without valgrind.
fn under_callgrind(program: &Path, file: &Path) -> Option<bool> {
    let (Some(directory), Some(name)) = (program.parent(), program.file_name()) else {
        unreachable!("a program has a name, and is in a directory");
    };
    let status = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet", "--combine-dumps=yes"])
        .arg(format!("--dump-before=*{}*", cases::MARK))
        .arg(format!("--callgrind-out-file={}", file.display()))
        // Started by its bare name: the arguments are allocated, and their length decides where the allocator
        // places later allocations. A path of five more characters made a spawn cost 5 % more.
        .arg(Path::new(".").join(name))
        .arg(COUNTED)
        .current_dir(directory)
        // The environment is on the stack, and its length moves the rest.
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .stdin(Stdio::null())
        .status();
    match status {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        status => Some(status.expect("valgrind starts").success()),
    }
}

/// The count in a line such as `totals: 5123`: instructions since the last mark.
fn total(line: &str) -> Option<u64> {
    let count = line.strip_prefix("totals: ")?;
    Some(count.trim().parse().expect("callgrind counts one kind of event"))
}
