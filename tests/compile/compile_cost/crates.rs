//! The crates to build, in the target directory.

use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::functions;

/// The same functions under another attribute.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) attribute: &'static str,
    /// Whether the functions are called with a token.
    pub(crate) takes_token: bool,
}

/// The first is the base of the measurement, the second is measured, the third is the goal.
pub(crate) const CRATES: [Kind; 4] = [
    Kind { name: "bare", attribute: "", takes_token: false },
    Kind { name: "supervised", attribute: "#[tokio_supervised::supervised]", takes_token: true },
    Kind { name: "instrument", attribute: "#[tracing::instrument]", takes_token: false },
    Kind {
        name: "instrument_skip_all",
        attribute: "#[tracing::instrument(skip_all)]",
        takes_token: false,
    },
];

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// What a function costs with the line of each `.await`: the first is measured, the second is its base, the third has no
/// function.
pub(crate) const WITH_LINES: [Kind; 3] = [
    Kind { name: "lines", ..CRATES[1] },
    Kind {
        name: "no_lines",
        attribute: "#[tokio_supervised::supervised(lines = false)]",
        takes_token: true,
    },
    Kind { name: "empty", ..CRATES[1] },
];

/// A separate workspace with the versions of this one.
pub(crate) struct Crates(PathBuf);

impl Crates {
    /// Writes a crate for each kind, with so many functions.
    pub(crate) fn write(folder: &str, kinds: &[(&Kind, usize)]) -> Self {
        let crates = Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder));
        let members: Vec<_> = kinds.iter().map(|(kind, _)| format!("{:?}", kind.name)).collect();
        let members = members.join(", ");
        let workspace = format!(
            "[workspace]\nresolver = \"3\"\nmembers = [\"support\", {members}]\n\n\
             [profile.release]\nstrip = true\n"
        );
        crates.put("Cargo.toml", &workspace);
        let lock = fs::read_to_string(Path::new(REPOSITORY).join("Cargo.lock"));
        crates.put("Cargo.lock", &lock.expect("the lock file is readable"));
        crates.put("support/Cargo.toml", &manifest("support", ""));
        crates.put("support/src/lib.rs", functions::SUPPORT);
        for (kind, functions) in kinds {
            let support = "support = { path = \"../support\" }\n";
            crates.put(&format!("{}/Cargo.toml", kind.name), &manifest(kind.name, support));
            let program = functions::program(kind, *functions);
            crates.put(&format!("{}/src/main.rs", kind.name), &program);
        }
        crates
    }

    fn put(&self, file: &str, text: &str) {
        let file = self.0.join(file);
        fs::create_dir_all(file.parent().expect("the file is in a directory"))
            .expect("the directory can be created");
        fs::write(file, text).expect("the target directory is writable");
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }

    pub(crate) fn target(&self) -> PathBuf {
        self.0.join("target")
    }

    /// Makes cargo build the crate again.
    pub(crate) fn touch(&self, name: &str) {
        let source = self.0.join(name).join("src/main.rs");
        let source = fs::File::options().append(true).open(source).expect("the file was written");
        source.set_modified(SystemTime::now()).expect("the file can be touched");
    }

    /// Bytes of the stripped program.
    pub(crate) fn size(&self, name: &str) -> u64 {
        let program = self.target().join("release").join(name);
        let program = program.with_extension(std::env::consts::EXE_EXTENSION);
        fs::metadata(program).expect("the program was built").len()
    }
}

/// All have the same dependencies, used or not.
fn manifest(name: &str, more: &str) -> String {
    format!(
        "[package]\nname = {name:?}\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
         [dependencies]\n\
         anyhow = \"1\"\n\
         tokio = {{ version = \"1\", features = [\"macros\", \"rt-multi-thread\"] }}\n\
         tokio-supervised = {{ path = {:?} }}\n\
         tracing = {{ version = \"0.1\", default-features = false, features = [\"attributes\", \"std\"] }}\n\
         {more}",
        Path::new(REPOSITORY).join("runtime")
    )
}
