//! Each kind of violation is found in a small crate.

use std::collections::BTreeMap;

use super::{paths, spawn_files, violations};

const TABLE: &str = "
<!-- floors: x/src -->
| floor | modules | what lives there |
|---|---|---|
| 4 | `lib.rs` | the root |
| 3 | `high` | |
| 2 | `wing` | |
| 2 | `a`, `b`, `c` | |
| 1 | `low` | |
";
const ROOT: &str =
    "mod high; mod wing; mod a; mod b; mod c; mod low; pub use low::Item; pub use ext::Other;";

/// The violations of a crate that has all modules of the table, some with the given source; `a/…` is a child of
/// `a`.
fn check(texts: &[(&str, &str)]) -> Vec<String> {
    check_with(TABLE, ROOT, texts)
}

fn check_with(table: &str, root: &str, texts: &[(&str, &str)]) -> Vec<String> {
    let mut files = BTreeMap::from([("lib.rs".to_owned(), root)]);
    if root == ROOT {
        files.extend(
            ["high", "wing", "a", "b", "c"].map(|name| (format!("{name}.rs"), "pub struct Thing;")),
        );
        files.insert("low.rs".to_owned(), "pub struct Item; pub mod inner { pub struct Deep; }");
    }
    files.extend(texts.iter().map(|(path, text)| ((*path).to_owned(), *text)));
    let files =
        files.into_iter().map(|(path, text)| (path, syn::parse_file(text).expect("it is Rust")));
    violations("x/src", &files.collect(), table)
}

/// A source of `a.rs` breaks one rule, in its first line.
#[track_caller]
fn upward(text: &str, path: &str) {
    let expected =
        format!("`x/src/a.rs:1` imports `{path}` (`high.rs`): floor 2 may not import from floor 3");
    assert_eq!(check(&[("a.rs", text)]), [expected], "{text}");
}

#[track_caller]
fn allowed(text: &str) {
    assert_eq!(check(&[("a.rs", text)]), [""; 0], "{text}");
}

#[test]
fn lower_floors_are_imported() {
    allowed(
        "use crate::low::{Item, inner::{self, Deep}}; fn f(_: crate::low::Item) { inner::Deep; }",
    );
    allowed(
        "use super::b::Thing; use crate::c; fn f() { c::Thing; std::mem::drop(1); high::external(); }",
    );
    allowed(
        "pub(in crate::high) struct X; m!(pub(in crate::high) struct X; a.high::<u8>(); ext::high::X);",
    );
}

#[test]
fn an_upward_import_is_found_in_every_form() {
    upward("use crate::high::Thing;", "crate::high::Thing");
    upward("use crate::high::Thing as Other;", "crate::high::Thing");
    upward("use super::high::Thing;", "super::high::Thing");
    upward("use crate::high::*;", "crate::high::*");
    upward("use crate::high;", "crate::high");
    upward("use crate::{low::{Item, inner}, high::{self as up}};", "crate::high");
    upward("use {std::fmt, crate::{low, high::{Thing}}};", "crate::high::Thing");
    upward("pub(crate) use crate::high::Thing;", "crate::high::Thing");
    upward("mod inline { use super::super::high::Thing; }", "super::super::high::Thing");
    upward("fn f() { use crate::high::Thing; }", "crate::high::Thing");
    upward("fn f() { crate::high::call(); }", "crate::high::call");
    upward(
        "fn f() { let _: Vec<super::high::Thing> = <super::high::Thing>::all(); }",
        "super::high::Thing",
    );
    upward("impl crate::high::Trait for u8 {}", "crate::high::Trait");
    upward("use crate::high; fn f() { high::Thing; }", "high::Thing");
    // A function with the module's name.
    upward("use crate::high; fn f() { high(); }", "crate::high");
    upward("use crate::{high as up}; fn f() { up::Thing::new(); }", "up::Thing::new");
}

#[test]
fn macros_and_attributes_are_read() {
    upward("fn f() { format!(\"{}\", 1 + crate::high::call()); }", "crate::high::call");
    upward("pin_project! { struct X { #[pin] y: crate::high::Thing } }", "crate::high::Thing");
    upward("macro_rules! m { () => { $crate::high::call() }; }", "crate::high::call");
    upward("m! { use crate::{low::Item, high::Thing}; }", "crate::high::Thing");
    upward("m! { X { ..super::high::default() } }", "super::high::default");
    upward("use crate::high; m! { high::Thing }", "high::Thing");
    upward("#[crate::high::attribute] struct X;", "crate::high::attribute");
    upward("#[derive(crate::high::Derive)] struct X;", "crate::high::Derive");
    upward("struct X { #[serde(with = \"crate::high::text\")] y: u8 }", "crate::high::text");
}

#[test]
fn code_that_only_tests_compile_is_ignored() {
    allowed("#[cfg(test)] mod tests { use crate::high::Thing; }");
    allowed("#[cfg(all(test, not(other)))] use crate::high::Thing;");
    allowed("struct X { #[cfg(test)] y: crate::high::Thing }");
    allowed("impl X { #[cfg(test)] fn f() { crate::high::call() } }");
    allowed("fn f() { #[cfg(test)] let x = crate::high::call(); }");
    upward("#[cfg(any(test, feature = \"x\"))] use crate::high::Thing;", "crate::high::Thing");
    upward("#[cfg(not(test))] use crate::high::Thing;", "crate::high::Thing");
    let models = [
        ("a.rs", "#[cfg(test)] mod model;"),
        ("a/model.rs", "mod part; use crate::high::Thing;"),
        ("a/model/part.rs", ""),
    ];
    assert_eq!(check(&models), [""; 0]);
}

#[test]
fn an_import_through_the_root_is_found() {
    let through = |path, owner| {
        format!("`x/src/a.rs:2` imports `{path}` through `lib.rs`: import it from {owner}")
    };
    assert_eq!(check(&[("a.rs", "\nuse crate::Item;")]), [through("crate::Item", "`low.rs`")]);
    assert_eq!(
        check(&[("a.rs", "\nfn f(_: super::Item) {}")]),
        [through("super::Item", "`low.rs`")]
    );
    assert_eq!(
        check(&[("a.rs", "\nuse crate::Other;")]),
        [through("crate::Other", "the crate that owns it")]
    );
    let root = "mod a; mod low; pub mod page { pub use crate::low::Item; }";
    let table = "<!-- floors: x/src -->\n| floor | modules | |\n|---|---|---|\n| 2 | `lib` | |\n| 1 | `a`, `low` | |\n";
    let texts = [("a.rs", "\nuse crate::page::Item;"), ("low.rs", "pub struct Item;")];
    assert_eq!(check_with(table, root, &texts), [through("crate::page::Item", "`low.rs`")]);
}

#[test]
fn the_root_hides_no_upward_import() {
    let root = "mod a; mod high; pub use high::Thing;";
    let table = "<!-- floors: x/src -->\n| floor | modules | |\n|---|---|---|\n| 2 | `lib`, `high` | |\n| 1 | `a` | |\n";
    let texts = [("a.rs", "use crate::Thing;"), ("high.rs", "pub struct Thing;")];
    let found = check_with(table, root, &texts);
    assert_eq!(
        found,
        [
            "`x/src/a.rs:1` imports `crate::Thing` through `lib.rs`: import it from `high.rs`",
            "`x/src/a.rs:1` imports `crate::Thing` (`high.rs`): floor 1 may not import from floor 2",
        ]
    );
}

#[test]
fn the_wings_of_a_floor_are_apart() {
    assert_eq!(
        check(&[("a.rs", "use crate::wing::Thing;")]),
        [
            "`x/src/a.rs:1` imports `crate::wing::Thing` (`wing.rs`): the wings of floor 2 do not import from each other"
        ]
    );
}

#[test]
fn a_cycle_of_two_is_found() {
    assert_eq!(
        check(&[("a.rs", "\nuse crate::b::Thing;"), ("b.rs", "fn f() {\n super::a::f() }")]),
        ["a cycle of 2 files in `x/src`: a.rs, b.rs\n  the shortest cycle:\n    \
         `x/src/a.rs:2` imports `crate::b::Thing` (`b.rs`)\n    \
         `x/src/b.rs:2` imports `super::a::f` (`a.rs`)"]
    );
}

#[test]
fn a_cycle_of_three_is_found() {
    let texts =
        [("a.rs", "use crate::b::B;"), ("b.rs", "use crate::c::C;"), ("c.rs", "use crate::a::A;")];
    assert_eq!(
        check(&texts),
        ["a cycle of 3 files in `x/src`: a.rs, b.rs, c.rs\n  the shortest cycle:\n    \
         `x/src/a.rs:1` imports `crate::b::B` (`b.rs`)\n    \
         `x/src/b.rs:1` imports `crate::c::C` (`c.rs`)\n    \
         `x/src/c.rs:1` imports `crate::a::A` (`a.rs`)"]
    );
}

#[test]
fn the_shortest_of_two_cycles_is_reported_first() {
    let texts = [
        ("a.rs", "use crate::b::X;"),
        ("b.rs", "use crate::{a, c::X};"),
        ("c.rs", "use crate::a::X;"),
    ];
    let found = check(&texts).join("\n");
    let (shortest, others) =
        found.split_once("the other imports among them").expect("there are others");
    assert!(shortest.contains("`crate::a` (`a.rs`)") && !shortest.contains("c.rs:"), "{found}");
    assert!(
        others.contains("b.rs:1` imports `crate::c::X`") && others.contains("c.rs:1"),
        "{found}"
    );
}

#[test]
fn a_parent_reexports_its_child_but_does_not_use_it() {
    let child = ("a/child.rs", "use super::Shared; pub struct Item;");
    let parent = |text| check(&[("a.rs", text), child]).len();
    assert_eq!(parent("mod child; pub struct Shared; pub(crate) use child::Item;"), 0);
    assert_eq!(
        parent("mod child; pub struct Shared; pub(crate) use child::Item; fn f(_: Item) {}"),
        1
    );
    assert_eq!(parent("mod child; pub struct Shared; pub(crate) use child::Item; m!(Item);"), 1);
    assert_eq!(parent("mod child; pub struct Shared; use child::Item;"), 1);
    assert_eq!(parent("mod child; pub struct Shared; fn f() { child::f() }"), 1);
}

#[test]
fn a_reexport_hides_no_cycle() {
    let texts = [
        ("a.rs", "mod child; pub use child::Item;"),
        ("a/child.rs", "pub struct Item(crate::b::Thing);"),
        ("b.rs", "use crate::a::Item;"),
    ];
    let found = check(&texts);
    assert!(matches!(&found[..], [cycle] if cycle.contains("a/child.rs, b.rs")), "{found:#?}");
    let globbed = [("a.rs", "mod child; pub use child::*;"), texts[1], texts[2]];
    let found = check(&globbed);
    assert!(matches!(&found[..], [cycle] if cycle.contains("a/child.rs, b.rs")), "{found:#?}");
}

#[test]
fn a_folder_can_be_part_of_a_cycle() {
    let texts = [
        ("a/mod.rs", "mod one; mod two;"),
        ("a/one.rs", "use super::two::X;"),
        ("a/two.rs", "pin_project! { struct X { y: super::one::Y } }"),
    ];
    let mut table = TABLE.replace("`a`, ", "`a/`, ");
    let root = ROOT
        .replace("mod high;", "")
        .replace("mod wing;", "")
        .replace("mod b;", "")
        .replace("mod c;", "");
    table = table
        .replace("| 3 | `high` | |\n", "")
        .replace("| 2 | `wing` | |\n", "")
        .replace(", `b`, `c`", "");
    let texts = [texts[0], texts[1], texts[2], ("low.rs", "pub struct Item;")];
    let found = check_with(&table, &root, &texts);
    assert!(matches!(&found[..], [cycle] if cycle.contains("a/one.rs, a/two.rs")), "{found:#?}");
}

#[test]
fn every_module_has_one_floor_and_exists() {
    let found = |table: &str| check_with(table, ROOT, &[]);
    assert_eq!(
        found(&TABLE.replace("`c`", "`low`")),
        ["ARCHITECTURE.md:9: `low` has two floors", "`x/src/c.rs` has no floor in ARCHITECTURE.md"]
    );
    assert_eq!(
        found(&TABLE.replace("`c`", "`c`, `d`, `c/`")),
        [
            "ARCHITECTURE.md: `c/` has a floor, and does not exist in `x/src`",
            "ARCHITECTURE.md: `d` has a floor, and does not exist in `x/src`",
        ]
    );
    assert!(
        found("")
            .contains(&"ARCHITECTURE.md has no table after `<!-- floors: x/src -->`".to_owned())
    );
    assert_eq!(check(&[("alone.rs", "")]), ["`x/src/alone.rs` belongs to no `mod`"]);
}

#[test]
fn the_longest_matching_name_wins() {
    let table = TABLE.replace("`high`", "`high`, `a/child`");
    let texts =
        [("a.rs", "mod child; fn f() { child::f() }"), ("a/child.rs", "use crate::b::Thing;")];
    assert_eq!(
        check_with(&table, ROOT, &texts),
        ["`x/src/a.rs:1` imports `child::f` (`a/child.rs`): floor 2 may not import from floor 3"]
    );
}

#[test]
fn the_files_of_a_spawn_exist_and_are_few() {
    let list = |files: &str| {
        format!("# One\n<!-- files: Group::spawn -->\n{files}\n# Two\n- `not/looked.rs`\n")
    };
    let check = |text: &str| spawn_files(text, &|path| path != "gone.rs");
    assert_eq!(check(&list("1. `group/mod.rs`: the call\n2. `group/spawn.rs`")), [""; 0]);
    assert_eq!(check(&list("`gone.rs`")), ["`gone.rs` does not exist"]);
    assert_eq!(check(&list("")), ["the list of files of one `Group::spawn` is empty"]);
    assert_eq!(check(""), ["ARCHITECTURE.md has no `<!-- files: Group::spawn -->`"]);
    let many: String = (0..21).map(|number| format!("- `f{number}.rs`\n")).collect();
    assert_eq!(check(&list(&many)), ["one `Group::spawn` goes through 21 files: at most 20"]);
}

#[test]
fn paths_are_distinguished_from_other_code() {
    let text = "`a.rs`, `b/c`, `d/`, `.ci/run`; `e::f`, `map`, `key = value`, `g/{h,i}.rs`\n```sh\n`no/path`\n```\n`j.md`";
    assert_eq!(paths(text), ["a.rs", "b/c", "d/", ".ci/run", "g/h.rs", "g/i.rs", "j.md"]);
}
