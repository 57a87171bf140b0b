//! The name of a supervised function, parsed from the type of its body. A refused spawn never calls its closure, so it
//! has no other way to name the function.

use std::any::type_name;

/// How the compiler names a body and each closure around it.
const CLOSURE: &str = "::{{closure}}";

/// The function whose body has the type `F`; `closures` says how deep in the function the body is.
///
/// `None` if the body is not that of a supervised function, for example of a `task!`.
pub(super) fn of_body<F>(closures: usize) -> Option<&'static str> {
    parse(type_name::<F>(), closures)
}

fn parse(body: &str, closures: usize) -> Option<&str> {
    let mut path = body;
    for _ in 0..closures {
        path = path.strip_suffix(CLOSURE)?;
    }
    let path = without_generics(path)?;
    let name = path.rsplit("::").next()?;
    let is_identifier = name.chars().all(|char| char.is_alphanumeric() || char == '_');
    (is_identifier && !name.is_empty()).then_some(name)
}

/// `a::f<b::C<D>>` is `a::f`.
fn without_generics(path: &str) -> Option<&str> {
    if !path.ends_with('>') {
        return Some(path);
    }
    let mut depth = 0;
    for (at, char) in path.char_indices().rev() {
        match char {
            // The `>` of a `->` closes nothing.
            '>' if path[..at].ends_with('-') => {}
            '>' => depth += 1,
            '<' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(&path[..at]);
        }
    }
    None
}

#[cfg(all(test, not(supervised_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_type_of_a_body_names_its_function() {
        for (body, closures, name) in [
            ("app::store::{{closure}}", 1, Some("store")),
            ("<app::Disk as app::Store>::save::{{closure}}", 1, Some("save")),
            ("app::main::{{closure}}::inner::{{closure}}", 1, Some("inner")),
            ("app::each<fn(u8) -> u8, app::V<u8>>::{{closure}}", 1, Some("each")),
            ("app::again::{{closure}}::{{closure}}", 2, Some("again")),
            // A `task!` in a function.
            ("app::main::{{closure}}::{{closure}}", 1, None),
            ("core::future::ready::Ready<()>", 1, None),
            ("core::pin::Pin<alloc::boxed::Box<dyn core::future::Future>>", 1, None),
        ] {
            assert_eq!(parse(body, closures), name, "{body}");
        }
    }
}
