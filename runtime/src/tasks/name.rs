//! The name of a task that was not created.

use std::any::type_name;

use crate::run::future::SupervisedFuture;

/// Returns the name of a task whose closure panicked or was not called: its function if that is known, otherwise the
/// function that contains the closure.
#[cold]
pub(crate) fn task_name<S: SupervisedFuture, F>() -> &'static str {
    S::function().unwrap_or_else(|| without_closures(type_name::<F>()))
}

/// Returns the path of the function that contains a closure: `a::b` for `a::b<T>::{{closure}}::{{closure}}`.
fn without_closures(name: &'static str) -> &'static str {
    let end = ["<", "::{{closure}}"].iter().filter_map(|end| name.find(end)).min();
    match end {
        Some(end) if end > 0 => &name[..end],
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::without_closures;

    #[test]
    fn a_closure_is_named_after_the_function_around_it() {
        assert_eq!(
            without_closures("app::start<app::Place>::{{closure}}::{{closure}}"),
            "app::start"
        );
        assert_eq!(without_closures("app::main::{{closure}}"), "app::main");
        assert_eq!(without_closures("app::fetch"), "app::fetch");
        assert_eq!(
            without_closures("<app::Store as app::Save>::run"),
            "<app::Store as app::Save>::run"
        );
    }
}
