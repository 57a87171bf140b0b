//! The attribute neither silences a lint nor adds one.
//!
//! Clippy compiles each file in `pairs/` twice, with every lint of the toolchain enabled: as written, and with the
//! attributes and the calls of `task!` removed. Both must get the same warnings at the same lines. [`OUT_OF_REACH`]
//! lists what a macro cannot reach, with the reason.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use super::run::library;

/// A file of `pairs/`, and whether it has tests.
const PAIRS: &[(&str, bool)] = &[
    ("functions", false),
    ("methods", false),
    ("tasks", false),
    ("from_macros", false),
    ("entry", false),
    ("tests", true),
];

/// A warning of the plain function that the supervised one does not get.
struct OutOfReach {
    lint: &'static str,
    /// Text of each line at which the warning may be missing; `""` matches all.
    lines: &'static [&'static str],
    #[expect(dead_code, reason = "part of the documentation of the list")]
    reason: &'static str,
}

const OUT_OF_REACH: &[OutOfReach] = &[
    OutOfReach {
        lint: "clippy::missing_errors_doc",
        lines: &[""],
        reason: "clippy searches for a function that returns a `Result`, or is an `async fn`",
    },
    OutOfReach {
        lint: "clippy::unused_async",
        lines: &["async fn"],
        reason: "clippy searches for an `async fn` without an `.await`; without one, a call is still limited and cancelled",
    },
    OutOfReach {
        lint: "clippy::future_not_send",
        lines: &["Result<"],
        reason: "clippy searches for a function that returns an `impl Future`; if it matters, a spawn does not compile",
    },
    OutOfReach {
        lint: "clippy::needless_lifetimes",
        lines: &["'unused"],
        reason: "clippy gives up where a named lifetime is inside an `impl Trait`",
    },
    OutOfReach {
        lint: "clippy::needless_pass_by_ref_mut",
        lines: &["&mut self"],
        reason: "a receiver cannot be bound again, and clippy does not follow it into the future",
    },
    OutOfReach {
        lint: "clippy::implicit_return",
        lines: &["clear()", "    ()", "ready(()).await", "task!("],
        reason: "clippy passes over closures that return `()`; that of `task!` is not the author's",
    },
    OutOfReach {
        lint: "unused_assignments",
        lines: &["let mut beside"],
        reason: "a `mut self` that is assigned is called unused, since it cannot be bound again: the lint is off there",
    },
    OutOfReach {
        lint: "closure_returning_async_block",
        lines: &["task!("],
        reason: "the closure of `task!` returns a supervised call",
    },
];

/// Lints that the plain functions get. A lint that is not listed here can be lost from `pairs/` unnoticed.
const TESTED: &[&str] = &[
    "clippy::absolute_paths",
    "clippy::allow_attributes",
    "clippy::arithmetic_side_effects",
    "clippy::as_conversions",
    "clippy::await_holding_lock",
    "clippy::borrowed_box",
    "clippy::box_collection",
    "clippy::collapsible_if",
    "clippy::dbg_macro",
    "clippy::default_numeric_fallback",
    "clippy::double_must_use",
    "clippy::doc_markdown",
    "clippy::expect_used",
    "clippy::extra_unused_lifetimes",
    "clippy::float_cmp",
    "clippy::fn_params_excessive_bools",
    "clippy::future_not_send",
    "clippy::impl_trait_in_params",
    "clippy::implicit_return",
    "clippy::indexing_slicing",
    "clippy::inline_always",
    "clippy::items_after_statements",
    "clippy::large_futures",
    "clippy::large_stack_arrays",
    "clippy::let_and_return",
    "clippy::let_underscore_future",
    "clippy::let_unit_value",
    "clippy::many_single_char_names",
    "clippy::mem_forget",
    "clippy::min_ident_chars",
    "clippy::missing_docs_in_private_items",
    "clippy::missing_errors_doc",
    "clippy::missing_inline_in_public_items",
    "clippy::missing_panics_doc",
    "clippy::missing_safety_doc",
    "clippy::multiple_bound_locations",
    "clippy::needless_lifetimes",
    "clippy::needless_pass_by_ref_mut",
    "clippy::needless_range_loop",
    "clippy::needless_return",
    "clippy::no_effect_underscore_binding",
    "clippy::option_option",
    "clippy::panic",
    "clippy::print_stdout",
    "clippy::ptr_arg",
    "clippy::ref_option",
    "clippy::semicolon_if_nothing_returned",
    "clippy::shadow_reuse",
    "clippy::shadow_same",
    "clippy::shadow_unrelated",
    "clippy::single_call_fn",
    "clippy::todo",
    "clippy::too_many_arguments",
    "clippy::type_complexity",
    "clippy::uninlined_format_args",
    "clippy::unreachable",
    "clippy::unused_async",
    "clippy::unused_self",
    "clippy::unused_unit",
    "clippy::unwrap_used",
    "clippy::use_self",
    "clippy::used_underscore_binding",
    "clippy::wrong_self_convention",
    "dead_code",
    "missing_docs",
    "non_snake_case",
    "redundant_semicolons",
    "unfulfilled_lint_expectations",
    "unreachable_code",
    "unreachable_pub",
    "unsafe_code",
    "unused_assignments",
    "unused_lifetimes",
    "unused_must_use",
    "unused_mut",
    "unused_parens",
    "unused_results",
    "unused_variables",
];

#[test]
fn a_supervised_function_gets_the_lints_of_a_plain_one() {
    let lints = all_lints();
    let mut found = Vec::new();
    let mut got = BTreeSet::new();
    let mut missed = BTreeMap::new();
    for (name, has_tests) in PAIRS {
        let source = fs::read_to_string(pairs().join(name).with_extension("rs")).expect(name);
        for edition in ["2021", "2024"] {
            let supervised = warnings(&source, name, edition, *has_tests, &lints);
            let plain =
                warnings(&plain(&source), &format!("{name}_plain"), edition, *has_tests, &lints);
            got.extend(plain.iter().map(|(_, lint)| lint.clone()));
            let line = |at: usize| source.lines().nth(at - 1).unwrap_or_default();
            for (at, lint) in plain.difference(&supervised) {
                match OUT_OF_REACH.iter().find(|out| out.is(lint, line(*at))) {
                    Some(out) => *missed.entry(out.lint).or_insert(0) += 1,
                    None => found.push(format!(
                        "{name}.rs:{at} ({edition}): `{lint}` is silenced: {}",
                        line(*at)
                    )),
                }
            }
            for (at, lint) in supervised.difference(&plain) {
                found.push(format!("{name}.rs:{at} ({edition}): `{lint}` is added: {}", line(*at)));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    let lost: Vec<_> = TESTED.iter().filter(|lint| !got.contains(**lint)).collect();
    assert!(lost.is_empty(), "no function of `pairs/` gets {lost:?}; it gets {got:?}");
    let reached: Vec<_> =
        OUT_OF_REACH.iter().map(|out| out.lint).filter(|lint| !missed.contains_key(lint)).collect();
    assert!(reached.is_empty(), "these are no longer silenced: {reached:?}");
}

impl OutOfReach {
    fn is(&self, lint: &str, line: &str) -> bool {
        self.lint == lint && self.lines.iter().any(|part| line.contains(part))
    }
}

fn pairs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("compile/clippy/pairs")
}

/// The same functions without an attribute, line by line.
fn plain(source: &str) -> String {
    source.lines().map(|line| plain_line(line) + "\n").collect()
}

fn plain_line(line: &str) -> String {
    // An attribute without effect: a blank line after documentation would trigger another lint.
    if line.trim_start().starts_with("#[tokio_supervised::") {
        return "#[rustfmt::skip]".to_owned();
    }
    let Some((before, call)) = line.split_once("tokio_supervised::task!(") else {
        return line.to_owned();
    };
    let closure = call.find('|').map(|at| if call[..at].ends_with("move ") { at - 5 } else { at });
    let closure = &call[closure.expect("the closure of `task!` starts on its line")..];
    format!("{before}identity({}", closure.replace(" -> Result<(), TaskError> {", " async move {"))
}

/// The lines and the lints of all warnings.
fn warnings(
    source: &str,
    name: &str,
    edition: &str,
    has_tests: bool,
    lints: &[String],
) -> BTreeSet<(usize, String)> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pairs");
    fs::create_dir_all(&folder).expect("the directory can be created");
    let file = folder.join(format!("{name}_{edition}.rs"));
    fs::write(&file, source).expect("the directory is writable");
    // More functions are linted where changing them would break a user.
    fs::write(folder.join("clippy.toml"), "avoid-breaking-exported-api = false\n")
        .expect("the file is writable");
    let library = library();
    let mut clippy = Command::new(tool("clippy-driver"));
    clippy
        .arg(&file)
        .args(["--edition", edition, "--crate-type", "lib", "--emit", "metadata", "-o"])
        .arg(file.with_extension("rmeta"))
        .arg("--extern")
        .arg(format!("tokio_supervised={}", library.display()))
        .arg("-L")
        .arg(format!(
            "dependency={}",
            library.parent().expect("the file is in a directory").display()
        ))
        .args(["--error-format", "json", "--cap-lints", "warn"])
        .args(lints.iter().flat_map(|lint| ["-W", lint]))
        .env("CLIPPY_CONF_DIR", &folder)
        .env_remove("CLIPPY_ARGS")
        .stdin(Stdio::null());
    if has_tests {
        clippy.arg("--test");
    }
    let output = clippy.output().expect("clippy runs");
    let said = String::from_utf8(output.stderr).expect("clippy writes JSON");
    let messages: Vec<Value> =
        said.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    let errors = messages.iter().filter(|message| message["level"] == "error");
    let errors: Vec<_> = errors.filter_map(|message| message["rendered"].as_str()).collect();
    assert!(errors.is_empty(), "{name} ({edition}) does not compile:\n{}", errors.join("\n"));
    messages.iter().flat_map(lines).collect()
}

/// The lines of one warning, each with its lint.
fn lines(message: &Value) -> Vec<(usize, String)> {
    let Some(lint) = message["code"]["code"].as_str() else { return Vec::new() };
    // A lint that the toolchain has but does not let anyone use.
    if lint == "unknown_lints" {
        return Vec::new();
    }
    let spans = message["spans"].as_array().into_iter().flatten();
    let at = |span: &Value| span["line_start"].as_u64().and_then(|line| usize::try_from(line).ok());
    spans
        .filter(|span| span["is_primary"] == true)
        .filter_map(|span| Some((at(&outermost(span))?, lint.to_owned())))
        .collect()
}

/// Where a span of the standard library's macros starts in the file itself.
fn outermost(span: &Value) -> Value {
    let mut span = span.clone();
    while !span["expansion"].is_null()
        && !span["file_name"]
            .as_str()
            .is_some_and(|file| file.starts_with(env!("CARGO_TARGET_TMPDIR")))
    {
        span = span["expansion"]["span"].take();
    }
    span
}

/// Every lint of the compiler and of clippy.
fn all_lints() -> Vec<String> {
    let output =
        Command::new(tool("clippy-driver")).args(["-W", "help"]).output().expect("clippy runs");
    let help = String::from_utf8(output.stdout).expect("it is text");
    let lints: Vec<String> = help
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let (name, level) = (words.next()?, words.next()?);
            ["allow", "warn", "deny"].contains(&level).then(|| name.to_owned())
        })
        .filter(|name| name != "<foo>" && !NOT_OF_A_FILE.contains(&name.as_str()))
        .collect();
    assert!(lints.len() > 500, "{help}");
    lints
}

/// Messages about one package.
const NOT_OF_A_FILE: &[&str] = &[
    "clippy::cargo-common-metadata",
    "clippy::multiple-crate-versions",
    "clippy::negative-feature-names",
    "clippy::redundant-feature-names",
    "clippy::wildcard-dependencies",
];

/// A program that is installed beside the compiler.
fn tool(name: &str) -> PathBuf {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let sysroot = Command::new(rustc).args(["--print", "sysroot"]).output().expect("rustc runs");
    let sysroot = String::from_utf8(sysroot.stdout).expect("it is text");
    Path::new(sysroot.trim()).join("bin").join(name)
}
