//! The copy with all faults in it.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use crate::faults;

/// The check that each fault makes; it records that it was reached.
const ASKED: &str = r#"
use std::{
    env,
    fs::OpenOptions,
    io::Write as _,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

static CHOSEN: OnceLock<(usize, Option<std::ffi::OsString>)> = OnceLock::new();
static ASKED: [AtomicBool; COUNT] = [const { AtomicBool::new(false) }; COUNT];

pub(crate) fn on(number: usize) -> bool {
    let (chosen, reached) = CHOSEN.get_or_init(|| {
        let chosen = env::var("MUTANT").ok().and_then(|number| number.parse().ok());
        (chosen.unwrap_or(usize::MAX), env::var_os("MUTANTS_REACHED"))
    });
    if let Some(file) = reached {
        if !ASKED[number].swap(true, Ordering::Relaxed) {
            let file = OpenOptions::new().append(true).create(true).open(file);
            _ = file.and_then(|mut file| file.write_all(format!("{number}\n").as_bytes()));
        }
    }
    *chosen == number
}
"#;

/// `FOLDER/mutants.txt` lists the faults, one per line, by their numbers. `FOLDER/unviable.txt`, if it exists, has
/// a `file:line` in each line at which no fault compiles.
pub(crate) fn prepare(folder: &Path) {
    let unviable = fs::read_to_string(folder.join("unviable.txt")).unwrap_or_default();
    let unviable: Vec<_> = unviable.lines().filter_map(|line| line.rsplit_once(':')).collect();
    let mut list = String::new();
    let mut count = 0;
    for crate_ in ["macros/src", "runtime/src"] {
        let files = files(&folder.join(crate_));
        let only_tested: Vec<_> = files.iter().flat_map(|file| only_tested(file)).collect();
        for path in files {
            if path.ends_with("tests.rs") || only_tested.contains(&path) {
                continue;
            }
            let text = fs::read_to_string(&path).expect("a source file is readable");
            let name =
                path.strip_prefix(folder).expect("the file is in the directory").display().to_string();
            let passed_over: Vec<usize> = unviable
                .iter()
                .filter(|(file, _)| *file == name)
                .filter_map(|(_, line)| line.parse().ok())
                .collect();
            let (made, faults) = faults::put_into(&text, count, &passed_over);
            fs::write(&path, made).expect("the copy is writable");
            for fault in faults {
                _ = writeln!(list, "{count} {name}:{} {}", fault.line, fault.what);
                count += 1;
            }
        }
    }
    for crate_ in ["macros/src", "runtime/src"] {
        let asked = format!("const COUNT: usize = {count};\n{ASKED}");
        fs::write(folder.join(crate_).join("mutants.rs"), asked).expect("the copy is writable");
        let front = folder.join(crate_).join("lib.rs");
        let text = fs::read_to_string(&front).expect("there is a `lib.rs`") + "\nmod mutants;\n";
        fs::write(front, text).expect("the copy is writable");
    }
    fs::write(folder.join("mutants.txt"), list).expect("the copy is writable");
    println!("{count} mutants");
}

/// Files of the modules of a file that are built only for tests.
fn only_tested(of: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(of).expect("a source file is readable");
    let file = syn::parse_file(&text).expect("a source file parses");
    let beneath = match of.file_name().and_then(|name| name.to_str()) {
        Some("lib.rs" | "mod.rs") => of.with_file_name(""),
        _ => of.with_extension(""),
    };
    let modules = file.items.iter().filter_map(|item| match item {
        syn::Item::Mod(module) if faults::of_tests(&module.attrs) => Some(&module.ident),
        _ => None,
    });
    modules.map(|name| beneath.join(format!("{name}.rs"))).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the directory exists");
    let mut paths: Vec<_> =
        entries.map(|entry| entry.expect("the directory is readable").path()).collect();
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}
