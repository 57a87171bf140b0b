//! Generated code under every lint that a crate may enable: the packages deny them in their crate roots.

use super::run::warnings;

#[test]
fn generated_code_breaks_no_lint_in_either_edition() {
    for package in ["supervised-edition-2021", "supervised-edition-2024"] {
        let said: Vec<_> = warnings().iter().filter(|warning| warning.package == package).collect();
        assert!(said.is_empty(), "{said:#?}");
    }
}
