//! What the values of arguments may be: texts, choices, counts, durations, paths.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Expr, Ident, Lit, LitStr, Path, ext::IdentExt};

use super::list::{Argument, Arguments};
use crate::{
    diagnostics::{Diagnostics, nearest, quoted},
    syntax::{first_span, literal, runtime_item},
};

/// A string literal.
pub(crate) fn text(
    argument: &Argument,
    example: &str,
    diagnostics: &mut Diagnostics,
) -> Option<LitStr> {
    let key = &argument.key;
    match literal(&argument.value) {
        Some(Lit::Str(text)) => Some(text.clone()),
        _ => {
            diagnostics.refuse(
                &argument.value,
                format!("`{key}` takes a string: write `{key} = \"{example}\"`"),
            );
            None
        }
    }
}

/// A string literal out of a few.
pub(crate) fn choice(
    argument: &Argument,
    choices: &[&'static str],
    diagnostics: &mut Diagnostics,
) -> Option<&'static str> {
    let key = &argument.key;
    let Some(Lit::Str(text)) = literal(&argument.value) else {
        let writings: Vec<_> =
            choices.iter().map(|choice| format!("`{key} = \"{choice}\"`")).collect();
        diagnostics.refuse(
            &argument.value,
            format!("`{key}` takes a string: write {}", writings.join(" or ")),
        );
        return None;
    };
    let given = text.value();
    let found = choices.iter().find(|choice| **choice == given).copied();
    if found.is_none() {
        let choices: Vec<_> = choices.iter().map(|choice| format!("\"{choice}\"")).collect();
        let choices: Vec<_> = choices.iter().map(String::as_str).collect();
        let meant = nearest(&format!("\"{given}\""), &choices)
            .map(|name| format!("; did you mean `{name}`?"))
            .unwrap_or_default();
        let list = quoted(&choices);
        let list = match choices[..] {
            [_] => format!("the only choice is {list}"),
            _ => format!("the choices are {list}"),
        };
        diagnostics.refuse(text, format!("`{key}` does not know `\"{given}\"`{meant}\n{list}"));
    }
    found
}

/// A number above 0, or a `const` expression of type `usize` that the compiler checks.
pub(crate) fn count(
    argument: &Argument,
    krate: &Path,
    diagnostics: &mut Diagnostics,
) -> Option<TokenStream> {
    let key = &argument.key;
    let value = &argument.value;
    match literal(value) {
        Some(Lit::Int(number)) if matches!(number.base10_parse::<u64>(), Ok(0)) => {
            diagnostics.refuse(
                value,
                format!("`{key}` must not be 0: nothing would ever run; write `{key} = 1` or leave it out"),
            );
            None
        }
        Some(Lit::Int(number)) if matches!(number.suffix(), "" | "usize") => Some(quote!(#number)),
        None if !matches!(value, Expr::Unary(_)) => Some(checked(krate, key, value)),
        _ => {
            diagnostics.refuse(
                value,
                format!("`{key}` takes a number or a `const` of type `usize`: write `{key} = 16`"),
            );
            None
        }
    }
}

/// A duration string, or a `const` expression of type `Duration`.
pub(crate) fn duration(
    argument: &Argument,
    example: &str,
    zero: Zero,
    krate: &Path,
    diagnostics: &mut Diagnostics,
) -> Option<TokenStream> {
    let key = &argument.key;
    let value = &argument.value;
    match literal(value) {
        None if !matches!(value, Expr::Unary(_)) => Some(match zero {
            Zero::Allowed => quote!(#value),
            Zero::Refused => checked(krate, key, value),
        }),
        Some(Lit::Str(text)) => match read_duration(&text.value()) {
            Some(0) if zero == Zero::Refused => {
                diagnostics.refuse(
                    text,
                    format!("`{key}` must be longer than 0: write `{key} = \"{example}\"`"),
                );
                None
            }
            Some(milliseconds) => Some(quote! {
                ::core::time::Duration::from_millis(#milliseconds)
            }),
            None => {
                diagnostics.refuse(
                    text,
                    format!(
                        "`{}` is not a duration: write a whole number and `ms`, `s`, `m` or `h`, like `{key} = \"{example}\"`",
                        text.value()
                    ),
                );
                None
            }
        },
        _ => {
            diagnostics
                .refuse(value, format!("`{key}` takes a duration: write `{key} = \"{example}\"`"));
            None
        }
    }
}

/// A constant whose value the compiler checks, and tells at the constant.
pub(crate) fn checked(krate: &Path, key: &Ident, value: &Expr) -> TokenStream {
    let key = Ident::new(&key.unraw().to_string(), Span::mixed_site());
    runtime_item(krate, quote!(::__private::checked::#key(#value)), first_span(value))
}

/// Whether a duration of zero makes sense for an argument.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Zero {
    Allowed,
    Refused,
}

/// `"10s"` in milliseconds.
pub(crate) fn read_duration(text: &str) -> Option<u64> {
    let unit_at = text.find(|character: char| !character.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    let unit = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

/// A path in a string, as in `crate = "my_crate::supervised"`.
fn path(argument: &Argument, example: &str, diagnostics: &mut Diagnostics) -> Option<Path> {
    let text = text(argument, example, diagnostics)?;
    let key = &argument.key;
    // What it nests would be walked before it is refused.
    let is_flat = !text.value().contains(['(', '[', '{']);
    let path = is_flat.then(|| text.parse_with(Path::parse_mod_style).ok()).flatten();
    if path.is_none() {
        diagnostics.refuse(&text, format!("`{key}` takes a path: write `{key} = \"{example}\"`"));
    }
    path
}

/// `crate = "…"`, else the path of this crate.
pub(crate) fn krate(given: &mut Arguments, diagnostics: &mut Diagnostics) -> Path {
    given
        .take("crate")
        .and_then(|argument| path(&argument, "::my_crate::supervised", diagnostics))
        .unwrap_or_else(|| syn::parse_quote!(::tokio_supervised))
}

/// `true` or `false`.
pub(crate) fn switch(argument: &Argument, diagnostics: &mut Diagnostics) -> Option<bool> {
    let key = &argument.key;
    match literal(&argument.value) {
        Some(Lit::Bool(switch)) => Some(switch.value),
        _ => {
            diagnostics.refuse(
                &argument.value,
                format!("`{key}` takes `true` or `false`: write `{key} = true`"),
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::read_duration;

    #[test]
    fn a_duration_is_a_whole_number_and_one_unit() {
        assert_eq!(read_duration("250ms"), Some(250));
        assert_eq!(read_duration("10s"), Some(10_000));
        assert_eq!(read_duration("2m"), Some(120_000));
        assert_eq!(read_duration("1h"), Some(3_600_000));
    }

    #[test]
    fn anything_else_is_no_duration() {
        for text in ["", "10", "s", "-1s", "1.5s", "10 s", "10S", "1m30s", "99999999999999999h"] {
            assert_eq!(read_duration(text), None, "{text}");
        }
    }
}
