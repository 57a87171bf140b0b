//! Rules of the house that no lint knows.

use std::{fs, path::Path};

use syn::visit::Visit;

/// The sources of the published crates.
const SOURCES: [&str; 2] = ["../macros/src", "../runtime/src"];

#[test]
fn the_published_crates_parse_on_the_oldest_supported_compiler() {
    let mut found = Vec::new();
    for root in SOURCES {
        each_file(&Path::new(env!("CARGO_MANIFEST_DIR")).join(root), &mut |path| {
            let source = fs::read_to_string(path).expect("a source file is readable");
            let mut chains = LetChains(0);
            chains.visit_file(&syn::parse_file(&source).expect("a source file parses"));
            if chains.0 > 0 {
                found.push(format!("{}: {} let chains", path.display(), chains.0));
            }
        });
    }
    assert!(found.is_empty(), "let chains came with Rust 1.88; nest them: {found:#?}");
}

fn each_file(folder: &Path, look: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("the folder is readable").path();
        if path.is_dir() {
            each_file(&path, look);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            look(&path);
        }
    }
}

/// Counts `let` under `&&`.
struct LetChains(usize);

impl<'ast> Visit<'ast> for LetChains {
    fn visit_expr_binary(&mut self, binary: &'ast syn::ExprBinary) {
        let is_let = |side: &syn::Expr| matches!(side, syn::Expr::Let(_));
        self.0 += usize::from(is_let(&binary.left) || is_let(&binary.right));
        syn::visit::visit_expr_binary(self, binary);
    }
}
