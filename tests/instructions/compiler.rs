//! The compiler of the counted code.

use std::process::Command;

/// As `rustc 1.95.0 (59807616e 2026-04-14), x86_64-unknown-linux-gnu`.
///
/// Asked at run time: under cargo this is the compiler that has just built it.
pub(crate) fn version() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output().expect("rustc runs");
    let text = String::from_utf8(output.stdout).expect("the output is UTF-8");
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    let version = text.lines().next().expect("rustc prints its version");
    format!("{version}, {}", host.expect("rustc prints its host"))
}
