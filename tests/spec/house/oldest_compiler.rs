//! The published crates build with the `rust-version` of their `Cargo.toml`.

use syn::visit::Visit;

use super::sources;

#[test]
fn the_published_crates_parse_on_the_oldest_supported_compiler() {
    let mut found = Vec::new();
    for source in sources::BOTH.into_iter().flat_map(sources::under) {
        let mut chains = LetChains(0);
        chains.visit_file(&source.parsed);
        if chains.0 > 0 {
            found.push(format!("{}: {} let chains", source.path.display(), chains.0));
        }
    }
    assert!(found.is_empty(), "let chains came with Rust 1.88; nest them: {found:#?}");
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
