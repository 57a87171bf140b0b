//! The defaults that the exit story names are the runtime's.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use quote::ToTokens;
use syn::visit::Visit;

use crate::args::{defaults, restart::Backoff};

/// Every associated constant that is one struct expression: its name, and its fields as they are written. The others, by
/// `Self::` and their name, as they are written.
#[derive(Default)]
struct Constants(Vec<(String, BTreeMap<String, String>)>, BTreeMap<String, String>);

impl<'ast> Visit<'ast> for Constants {
    fn visit_impl_item_const(&mut self, constant: &'ast syn::ImplItemConst) {
        let written = |tokens: &dyn ToTokens| tokens.to_token_stream().to_string().replace(' ', "");
        if let syn::Expr::Struct(value) = &constant.expr {
            let fields = value.fields.iter();
            let fields = fields.map(|field| (written(&field.member), written(&field.expr)));
            self.0.push((constant.ident.to_string(), fields.collect()));
        } else {
            self.1.insert(format!("Self::{}", constant.ident), written(&constant.expr));
        }
    }
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the runtime's sources are readable");
    entries
        .flat_map(|entry| {
            let path = entry.expect("the folder is readable").path();
            if path.is_dir() { sources(&path) } else { vec![path] }
        })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// `Duration::from_millis(100)` as milliseconds, also in a `Some`.
fn milliseconds(written: &str) -> Option<u64> {
    let (_, call) = written.split_once("Duration::from_")?;
    let (unit, number) = call.split_once('(')?;
    let number: u64 = number.trim_end_matches(')').parse().ok()?;
    Some(number * if unit == "secs" { 1_000 } else { 1 })
}

#[test]
fn the_story_names_the_defaults_of_the_runtime() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut constants = Constants::default();
    for path in sources(&root.join("runtime/src")) {
        let source = fs::read_to_string(&path).expect("a source file is readable");
        constants.visit_file(&syn::parse_file(&source).expect("a source file parses"));
    }
    let constant = |name: &str, field: &str| {
        let found =
            constants.0.iter().find(|(found, fields)| found == name && fields.contains_key(field));
        found.map(|(_, fields)| fields).unwrap_or_else(|| panic!("no `{name}` with `{field}`"))
    };
    let policy = constant("DEFAULT", "cooperates");
    let restart = constant("ON_FAILURE", "lowest");
    let period = |text: &str| {
        let named = constants.1.get(text).map_or(text, String::as_str);
        milliseconds(named).expect("a duration")
    };
    let Backoff::Range(lowest, highest) = defaults::BACKOFF else { panic!("a range") };
    assert_eq!(period(&policy["grace"]), defaults::GRACE.milliseconds());
    assert_eq!(period(&restart["lowest"]), lowest.milliseconds());
    assert_eq!(period(&restart["highest"]), highest.milliseconds());
    assert_eq!(period(&restart["window"]), defaults::MAX_RESTARTS.window.milliseconds());
    assert_eq!(restart["most"], defaults::MAX_RESTARTS.restarts.to_string());
}
