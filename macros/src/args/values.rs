//! The values of arguments: texts, choices, counts, durations, paths.

use std::fmt;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{Expr, ExprPath, Ident, Lit, LitInt, LitStr, Path, ext::IdentExt};

use super::list::{Argument, Arguments};
use crate::{
    diagnostics::{Diagnostics, nearest, quoted},
    syntax::{first_span, literal, runtime_item},
};

/// A string literal.
pub(crate) fn text(argument: &Argument, diagnostics: &mut Diagnostics) -> Option<LitStr> {
    let Argument { key, example, .. } = argument;
    match literal(&argument.value) {
        Some(Lit::Str(text)) => Some(text.clone()),
        _ => {
            diagnostics.refuse(
                &argument.value,
                format!("`{key}` takes a string\nhelp: write `{key} = {example}`"),
            );
            None
        }
    }
}

/// One string out of several, each with its meaning.
pub(crate) fn choice<T: Copy>(
    argument: &Argument,
    choices: &[(&'static str, T)],
    diagnostics: &mut Diagnostics,
) -> Option<T> {
    let key = &argument.key;
    let Some(Lit::Str(text)) = literal(&argument.value) else {
        let writings: Vec<_> =
            choices.iter().map(|(choice, _)| format!("`{key} = \"{choice}\"`")).collect();
        diagnostics.refuse(
            &argument.value,
            format!("`{key}` takes a string\nhelp: write {}", writings.join(" or ")),
        );
        return None;
    };
    let given = text.value();
    let found = choices.iter().find(|(choice, _)| *choice == given).map(|(_, meaning)| *meaning);
    if found.is_none() {
        let choices: Vec<_> = choices.iter().map(|(choice, _)| format!("\"{choice}\"")).collect();
        let choices: Vec<_> = choices.iter().map(String::as_str).collect();
        let meant = nearest(&format!("\"{given}\""), &choices)
            .map(|name| format!("did you mean `{name}`? "))
            .unwrap_or_default();
        let list = quoted(&choices);
        let list = match choices[..] {
            [_] => format!("the only choice is {list}"),
            _ => format!("the choices are {list}"),
        };
        diagnostics
            .refuse(text, format!("unknown value `{given:?}` for `{key}`\nhelp: {meant}{list}"));
    }
    found
}

/// A `const` expression.
pub(crate) struct Constant {
    /// As it is written, for the exit story.
    written: String,
    tokens: TokenStream,
}

impl Constant {
    /// A constant whose value the compiler checks; it reports a wrong one at the constant.
    pub(super) fn checked(krate: &Path, key: &Ident, value: &Expr) -> Self {
        let key = Ident::new(&key.unraw().to_string(), Span::mixed_site());
        let tokens =
            runtime_item(krate, quote!(::__private::checked::#key(#value)), first_span(value));
        Self { written: value.to_token_stream().to_string(), tokens }
    }

    fn unchecked(value: &Expr) -> Self {
        Self { written: value.to_token_stream().to_string(), tokens: quote!(#value) }
    }

    pub(super) fn written(&self) -> &str {
        &self.written
    }
}

impl ToTokens for Constant {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.tokens.to_tokens(tokens);
    }
}

/// A number above 0.
pub(crate) enum Count {
    Number(LitInt),
    Constant(Constant),
}

impl ToTokens for Count {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Number(number) => number.to_tokens(tokens),
            Self::Constant(constant) => constant.to_tokens(tokens),
        }
    }
}

/// A number above 0, or a `const` expression of type `usize` that the compiler checks.
pub(crate) fn count(
    argument: &Argument,
    krate: &Path,
    diagnostics: &mut Diagnostics,
) -> Option<Count> {
    let key = &argument.key;
    let value = &argument.value;
    match literal(value) {
        Some(Lit::Int(number)) if matches!(number.base10_parse::<u64>(), Ok(0)) => {
            diagnostics.refuse(
                value,
                format!("`{key}` must not be 0\nhelp: write `{key} = 1`, or remove it"),
            );
            None
        }
        Some(Lit::Int(number)) if matches!(number.suffix(), "" | "usize") => {
            Some(Count::Number(number.clone()))
        }
        None if !matches!(value, Expr::Unary(_)) => {
            Some(Count::Constant(Constant::checked(krate, key, value)))
        }
        _ => {
            diagnostics.refuse(
                value,
                format!(
                    "`{key}` takes a number or a `const` of type `usize`\nhelp: write `{key} = 16`"
                ),
            );
            None
        }
    }
}

/// A length of time.
pub(crate) enum Duration {
    Period(Period),
    Constant(Constant),
}

impl ToTokens for Duration {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Period(period) => period.to_tokens(tokens),
            Self::Constant(constant) => constant.to_tokens(tokens),
        }
    }
}

/// A duration string, or a `const` expression of type `Duration`. `at_run_time` is what sets it at run time.
pub(crate) fn duration(
    argument: &Argument,
    zero: Zero,
    at_run_time: &str,
    krate: &Path,
    diagnostics: &mut Diagnostics,
) -> Option<Duration> {
    let Argument { key, value, example } = argument;
    match literal(value) {
        None if is_run_time(value) => {
            diagnostics.refuse(
                value,
                format!(
                    "`{key}` is fixed when the program is compiled, and this value is not\nhelp: for a value that is known at run time, write {at_run_time}; for the result of a `const fn`, name it in a `const`"
                ),
            );
            None
        }
        None if !matches!(value, Expr::Unary(_)) => Some(Duration::Constant(match zero {
            Zero::Allowed => Constant::unchecked(value),
            Zero::Refused => Constant::checked(krate, key, value),
        })),
        Some(Lit::Str(text)) => match Period::parse(&text.value()) {
            Some(period) if period.is_zero() && zero == Zero::Refused => {
                diagnostics.refuse(
                    text,
                    format!("`{key}` must be longer than 0\nhelp: write `{key} = {example}`"),
                );
                None
            }
            Some(period) => Some(Duration::Period(period)),
            None => {
                diagnostics.refuse(
                    text,
                    format!(
                        "`{}` is not a duration\nhelp: write a whole number and `ms`, `s`, `m` or `h`: `{key} = {example}`",
                        text.value().escape_debug()
                    ),
                );
                None
            }
        },
        _ => {
            diagnostics.refuse(
                value,
                format!("`{key}` takes a duration\nhelp: write `{key} = {example}`"),
            );
            None
        }
    }
}

/// Whether a value visibly is none of a constant: a call of a function that stands alone, as in `timeout()`, or an
/// expression that starts with a variable, as in `self.timeout`. A function of a type, as in `Duration::from_secs(1)`, may
/// be `const`.
fn is_run_time(value: &Expr) -> bool {
    match value {
        Expr::Call(call) => is_function_alone(&call.func),
        Expr::MethodCall(call) => begins_with_variable(&call.receiver),
        Expr::Field(field) => begins_with_variable(&field.base),
        Expr::Await(_) => true,
        Expr::Reference(reference) => is_run_time(&reference.expr),
        Expr::Paren(paren) => is_run_time(&paren.expr),
        Expr::Group(group) => is_run_time(&group.expr),
        _ => false,
    }
}

fn begins_with_variable(value: &Expr) -> bool {
    match value {
        Expr::Path(path) => path.path.get_ident().is_some_and(is_lower_case),
        value => is_run_time(value),
    }
}

/// A path of modules to a function, and not one of a type.
fn is_function_alone(function: &Expr) -> bool {
    match function {
        Expr::Path(ExprPath { qself: None, path, .. }) => {
            path.segments.iter().all(|segment| is_lower_case(&segment.ident))
        }
        Expr::Group(group) => is_function_alone(&group.expr),
        _ => false,
    }
}

fn is_lower_case(ident: &Ident) -> bool {
    !ident.unraw().to_string().starts_with(char::is_uppercase)
}

/// Whether a duration of zero makes sense for an argument.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Zero {
    Allowed,
    Refused,
}

/// `"10s"`: a whole number and a unit. Its milliseconds fit into a `u64`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Period {
    number: u64,
    /// As shown in the exit story.
    unit: &'static str,
    milliseconds: u64,
}

impl Period {
    pub(super) const fn seconds(number: u64) -> Self {
        Self { number, unit: "s", milliseconds: number * 1_000 }
    }

    pub(super) const fn millis(number: u64) -> Self {
        Self { number, unit: "ms", milliseconds: number }
    }

    pub(super) const fn minutes(number: u64) -> Self {
        Self { number, unit: "min", milliseconds: number * 60_000 }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let unit_at = text.find(|character: char| !character.is_ascii_digit())?;
        let (number, unit) = text.split_at(unit_at);
        let (unit, size) = match unit {
            "ms" => ("ms", 1),
            "s" => ("s", 1_000),
            "m" => ("min", 60_000),
            "h" => ("h", 3_600_000),
            _ => return None,
        };
        let number = number.parse::<u64>().ok()?;
        Some(Self { number, unit, milliseconds: number.checked_mul(size)? })
    }

    pub(crate) fn milliseconds(&self) -> u64 {
        self.milliseconds
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.milliseconds == 0
    }
}

impl ToTokens for Period {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let milliseconds = self.milliseconds;
        tokens.extend(quote!(::core::time::Duration::from_millis(#milliseconds)));
    }
}

/// As the exit story writes it: `10 s`.
impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.unit)
    }
}

/// The path of an item or a local value, which the expansion calls.
pub(crate) fn item_path(argument: &Argument, diagnostics: &mut Diagnostics) -> Option<ExprPath> {
    let Argument { key, value, example } = argument;
    let mut peeled = value;
    while let Expr::Group(group) = peeled {
        peeled = &group.expr;
    }
    if let Expr::Path(path) = peeled {
        return Some(path.clone());
    }
    let remedy = format!("help: write `{key} = {example}`");
    let message = match peeled {
        Expr::Lit(_) => format!("`{key}` takes a path, without quotes\n{remedy}"),
        Expr::Closure(_) => format!(
            "`{key}` takes the path of a function, not a closure\nhelp: name the closure: write `fn {example}(error: &Error) -> bool`, then `{key} = {example}`"
        ),
        _ => format!("`{key}` takes the path of a function\n{remedy}"),
    };
    diagnostics.refuse(value, message);
    None
}

/// A path in a string, as in `crate = "my_crate::supervised"`.
fn path(argument: &Argument, diagnostics: &mut Diagnostics) -> Option<Path> {
    let text = text(argument, diagnostics)?;
    let Argument { key, example, .. } = argument;
    // Its nested tokens would be walked before it is refused.
    let is_flat = !text.value().contains(['(', '[', '{']);
    let path = is_flat.then(|| text.parse_with(Path::parse_mod_style).ok()).flatten();
    if path.is_none() {
        diagnostics.refuse(&text, format!("`{key}` takes a path\nhelp: write `{key} = {example}`"));
    }
    path
}

/// `crate = "…"`, else the path of this crate.
pub(crate) fn krate(given: &mut Arguments, diagnostics: &mut Diagnostics) -> Path {
    given
        .take("crate")
        .and_then(|argument| path(&argument, diagnostics))
        .unwrap_or_else(|| syn::parse_quote!(::tokio_supervised))
}

/// `true` or `false`.
pub(crate) fn switch(argument: &Argument, diagnostics: &mut Diagnostics) -> Option<bool> {
    let Argument { key, example, .. } = argument;
    match literal(&argument.value) {
        Some(Lit::Bool(switch)) => Some(switch.value),
        _ => {
            diagnostics.refuse(
                &argument.value,
                format!("`{key}` takes `true` or `false`\nhelp: write `{key} = {example}`"),
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Period;

    fn milliseconds(text: &str) -> Option<u64> {
        Period::parse(text).map(|period| period.milliseconds())
    }

    #[test]
    fn a_duration_is_a_whole_number_and_one_unit() {
        assert_eq!(milliseconds("250ms"), Some(250));
        assert_eq!(milliseconds("10s"), Some(10_000));
        assert_eq!(milliseconds("2m"), Some(120_000));
        assert_eq!(milliseconds("1h"), Some(3_600_000));
    }

    #[test]
    fn other_texts_are_no_duration() {
        for text in ["", "10", "s", "-1s", "1.5s", "10 s", "10S", "1m30s", "99999999999999999h"] {
            assert_eq!(milliseconds(text), None, "{text}");
        }
    }
}
