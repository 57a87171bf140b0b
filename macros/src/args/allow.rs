//! `allow(…)`: which checks of the body are waived.

use quote::ToTokens;
use syn::{Expr, ext::IdentExt};

use super::list::{Argument, Arguments, KnownKey};
use crate::diagnostics::{Diagnostics, nearest, quoted};

/// Its name.
pub(crate) const NAME: &str = "allow";

/// The argument, as the macros that take it list it.
pub(crate) const ALLOW: KnownKey = KnownKey::list(NAME, "(no_exit)");

/// A check of the body that can be waived.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    DetachedSpawn,
    BlockingSleep,
    BlockOn,
    NoExit,
    UnusedToken,
}

const CHECKS: &[(&str, Check)] = &[
    ("detached_spawn", Check::DetachedSpawn),
    ("blocking_sleep", Check::BlockingSleep),
    ("block_on", Check::BlockOn),
    ("no_exit", Check::NoExit),
    ("unused_token", Check::UnusedToken),
];

/// The checks that were waived.
#[derive(Default)]
pub(crate) struct Allow(Vec<Check>);

impl Allow {
    pub(crate) fn take(given: &mut Arguments, diagnostics: &mut Diagnostics) -> Self {
        given.take(NAME).map_or_else(Self::default, |argument| Self::read(&argument, diagnostics))
    }

    pub(crate) fn allows(&self, check: Check) -> bool {
        self.0.contains(&check)
    }

    fn read(argument: &Argument, diagnostics: &mut Diagnostics) -> Self {
        let one;
        let names: Vec<&Expr> = match &argument.value {
            Expr::Tuple(list) => list.elems.iter().collect(),
            Expr::Paren(list) => {
                one = [&*list.expr];
                one.to_vec()
            }
            _ => Vec::new(),
        };
        if names.is_empty() {
            diagnostics.refuse(
                &argument.value,
                format!(
                    "`allow` without a name has no effect\nhelp: write `allow(no_exit)`, or remove it; {}",
                    the_names()
                ),
            );
        }
        let mut allow = Self::default();
        for name in names {
            match check_of(name) {
                Ok(check) if allow.allows(check) => {
                    let written = name.to_token_stream();
                    diagnostics.refuse(
                        name,
                        format!("`{written}` is given twice\nhelp: remove one of them"),
                    );
                }
                Ok(check) => allow.0.push(check),
                Err(message) => diagnostics.refuse(name, message),
            }
        }
        allow
    }
}

fn check_of(name: &Expr) -> Result<Check, String> {
    let ident = match name {
        Expr::Path(path) => path.path.get_ident(),
        _ => None,
    };
    let Some(ident) = ident else {
        return Err(format!("`allow` takes names\nhelp: write `allow(no_exit)`; {}", the_names()));
    };
    let given = ident.unraw().to_string();
    let found = CHECKS.iter().find(|(name, _)| *name == given);
    found.map(|(_, check)| *check).ok_or_else(|| {
        let meant = nearest(&given, &names())
            .map(|name| format!("did you mean `{name}`? "))
            .unwrap_or_default();
        format!("unknown check `{given}` in `allow`\nhelp: {meant}{}", the_names())
    })
}

fn names() -> Vec<&'static str> {
    CHECKS.iter().map(|(name, _)| *name).collect()
}

fn the_names() -> String {
    format!("the names are {}", quoted(&names()))
}
