//! The arguments of `#[supervised]` (and of `task!`, behind its name).

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Ident, Path};

use super::{
    allow::{ALLOW, Allow},
    defaults,
    lines::{self, LINES},
    list::{Arguments, Keyed, KnownKey},
    restart::Restart,
    values::{self, Count, Duration, Zero},
};
use crate::{diagnostics::Diagnostics, syntax::literal};

/// The arguments of a function.
const FUNCTION_KEYS: &[KnownKey] = &[
    NAME,
    LIMIT,
    ON_FULL,
    TIMEOUT,
    ON_CANCEL,
    GRACE,
    RESTART,
    RESTART_IF,
    BACKOFF,
    MAX_RESTARTS,
    EVERY,
    LOG,
    LINES,
    KnownKey::value("token", "shutdown"),
    ALLOW,
    CRATE,
];

/// The arguments of `task!`: its name comes first, and its closure names the token.
const TASK_KEYS: &[KnownKey] =
    &[LIMIT, ON_FULL, TIMEOUT, ON_CANCEL, GRACE, LOG, LINES, ALLOW, CRATE];

const NAME: KnownKey = KnownKey::value("name", "\"worker\"");
const LIMIT: KnownKey = KnownKey::value("limit", "16");
const ON_FULL: KnownKey = KnownKey::value("on_full", "\"reject\"");
const TIMEOUT: KnownKey = KnownKey::value("timeout", "\"10s\"");
const ON_CANCEL: KnownKey = KnownKey::value("on_cancel", "\"cooperate\"");
const GRACE: KnownKey = KnownKey::value("grace", "\"5s\"");
const RESTART: KnownKey = KnownKey::value("restart", "\"on-failure\"");
const RESTART_IF: KnownKey = KnownKey::value("restart_if", "is_transient");
const BACKOFF: KnownKey = KnownKey::value("backoff", "\"100ms..30s\"");
const MAX_RESTARTS: KnownKey = KnownKey::value("max_restarts", "\"5/1m\"");
const EVERY: KnownKey = KnownKey::value("every", "\"30s\"");
const LOG: KnownKey = KnownKey::value("log", "\"warn\"");
const CRATE: KnownKey = KnownKey::value("crate", "\"::my_crate::supervised\"");

/// How a call is treated if every permit is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OnFull {
    Wait,
    Reject,
}

/// How the body is treated when the token fires.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnCancel {
    Drop,
    Cooperate,
}

/// The level at which a failure is logged that no one awaits.
#[derive(Clone, Copy)]
enum FailureLevel {
    Error,
    Warn,
    Info,
    Debug,
    Off,
}

/// The arguments, validated one by one.
pub(crate) struct TaskArgs {
    pub(crate) krate: Path,
    token: Option<Keyed<Ident>>,
    pub(crate) restart: Restart,
    /// `Some(None)` if its value was refused.
    every: Option<Option<Duration>>,
    pub(crate) allow: Allow,
    name: Option<syn::LitStr>,
    pub(super) limit: Option<Count>,
    on_full: Option<Keyed<OnFull>>,
    pub(super) timeout: Option<Duration>,
    on_cancel: Option<OnCancel>,
    on_a_task: bool,
    grace: Option<Keyed<Grace>>,
    log: Option<FailureLevel>,
    /// Whether the body's lines are marked.
    pub(crate) lines: bool,
    limit_was_given: bool,
}

pub(crate) enum Grace {
    Never,
    For(Duration),
}

impl TaskArgs {
    /// The arguments of `#[supervised]`.
    pub(crate) fn of_function(tokens: TokenStream, diagnostics: &mut Diagnostics) -> Self {
        Self::parse(Arguments::parse(tokens, FUNCTION_KEYS, diagnostics), false, diagnostics)
    }

    /// The arguments of `task!`.
    pub(crate) fn of_task(tokens: TokenStream, diagnostics: &mut Diagnostics) -> Self {
        Self::parse(Arguments::parse(tokens, TASK_KEYS, diagnostics), true, diagnostics)
    }

    fn parse(mut given: Arguments, on_a_task: bool, diagnostics: &mut Diagnostics) -> Self {
        let limit = given.take("limit");
        let krate = values::krate(&mut given, diagnostics);
        let args = Self {
            on_a_task,
            name: given.take("name").and_then(|argument| {
                let name = values::text(&argument, diagnostics)?;
                if name.value().trim().is_empty() {
                    diagnostics.refuse(
                        &name,
                        "`name` must not be empty: it labels metrics, events and errors\nhelp: remove it to use the function's name",
                    );
                    return None;
                }
                Some(name)
            }),
            limit_was_given: limit.is_some(),
            limit: limit.and_then(|argument| values::count(&argument, &krate, diagnostics)),
            on_full: given.take("on_full").and_then(|argument| {
                let value = values::choice(
                    &argument,
                    &[("wait", OnFull::Wait), ("reject", OnFull::Reject)],
                    diagnostics,
                )?;
                Some(Keyed { key: argument.key, value })
            }),
            timeout: given
                .take("timeout")
                .and_then(|argument| {
                    values::duration(&argument, Zero::Refused, "`.timeout(…)` on the call", &krate, diagnostics)
                }),
            on_cancel: given.take("on_cancel").and_then(|argument| {
                let choices = [("drop", OnCancel::Drop), ("cooperate", OnCancel::Cooperate)];
                values::choice(&argument, &choices, diagnostics)
            }),
            grace: given.take("grace").and_then(|argument| {
                let value = if is_none(&argument.value) {
                    Grace::Never
                } else {
                    Grace::For(values::duration(&argument, Zero::Refused, "`.grace(…)` on the call", &krate, diagnostics)?)
                };
                Some(Keyed { key: argument.key, value })
            }),
            log: given.take("log").and_then(|argument| {
                let choices = [
                    ("error", FailureLevel::Error),
                    ("warn", FailureLevel::Warn),
                    ("info", FailureLevel::Info),
                    ("debug", FailureLevel::Debug),
                    ("off", FailureLevel::Off),
                ];
                values::choice(&argument, &choices, diagnostics)
            }),
            lines: lines::take(&mut given, diagnostics),
            token: given.take("token").and_then(|argument| {
                let value = parameter_name(&argument.value);
                if value.is_none() {
                    diagnostics.refuse(
                        &argument.value,
                        "`token` takes the name of a parameter\nhelp: write `token = shutdown`",
                    );
                }
                Some(Keyed { key: argument.key, value: value? })
            }),
            restart: Restart::take(&mut given, &krate, diagnostics),
            every: given.take("every").map(|argument| {
                values::duration(&argument, Zero::Refused, "`.interval(…)` on the call", &krate, diagnostics)
            }),
            allow: Allow::take(&mut given, diagnostics),
            krate,
        };
        if on_a_task {
            for key in ["restart", "restart_if", "backoff", "max_restarts"] {
                given.refuse(key, "`task!` cannot restart: its closure is called once\nhelp: write a function with `#[supervised(restart = \"on-failure\")]`", diagnostics);
            }
            given.refuse(
                "every",
                "`task!` calls its closure once, so it cannot run its body again\nhelp: write a function with `#[supervised(every = \"30s\")]`",
                diagnostics,
            );
        }
        given.refuse_remaining(diagnostics);
        args
    }

    /// Refuses arguments that contradict each other.
    pub(crate) fn check(&self, has_token: bool, diagnostics: &mut Diagnostics) {
        self.restart.check(diagnostics);
        if let (Some(on_full), false) = (&self.on_full, self.limit_was_given) {
            diagnostics.refuse(
                &on_full.key,
                "`on_full` has no effect without `limit`\nhelp: add `limit = 16`",
            );
        }
        if let (Some(grace), OnCancel::Drop) = (&self.grace, self.on_cancel(has_token)) {
            let instead = match (self.on_cancel, self.on_a_task) {
                (Some(_), _) => "remove it, or write `on_cancel = \"cooperate\"`",
                (None, true) => "name the token, as in `|token| …`",
                (None, false) => "take `token: &CancellationToken` first",
            };
            diagnostics.refuse(
                &grace.key,
                format!("`grace` has no effect: the body is dropped as soon as the token fires\nhelp: {instead}"),
            );
        }
    }

    /// How the body is treated when the token fires. By default, a body that has the token ends by itself.
    pub(crate) fn on_cancel(&self, has_token: bool) -> OnCancel {
        self.on_cancel.unwrap_or(if has_token { OnCancel::Cooperate } else { OnCancel::Drop })
    }

    /// Whether `on_cancel` is written out.
    pub(crate) fn decides_on_cancel(&self) -> bool {
        self.on_cancel.is_some()
    }

    /// The parameter that `token = …` names.
    pub(crate) fn token_name(&self) -> Option<&Ident> {
        self.token.as_ref().map(|given| &given.value)
    }

    /// Whether a call that finds every permit taken is rejected.
    pub(super) fn rejects(&self) -> bool {
        self.on_full.as_ref().is_some_and(|given| given.value == OnFull::Reject)
    }

    /// The argument that makes a call run its body more than once, if one was given, also with a wrong value.
    pub(crate) fn recurs_by(&self) -> Option<&'static str> {
        if self.restart.was_given() {
            Some("restart")
        } else {
            self.every.is_some().then_some("every")
        }
    }

    /// Whether a call may run its body more than once.
    pub(crate) fn recurs(&self) -> bool {
        self.restart.after().is_some() || self.every().is_some()
    }

    /// The interval between two runs.
    pub(crate) fn every(&self) -> Option<&Duration> {
        self.every.as_ref()?.as_ref()
    }

    /// How long a cooperating body may continue after its token fired.
    pub(super) fn grace(&self) -> &Grace {
        const DEFAULT: &Grace = &Grace::For(Duration::Period(defaults::GRACE));
        self.grace.as_ref().map_or(DEFAULT, |given| &given.value)
    }

    /// The static that describes the function, in a separate block: the body must not see it.
    ///
    /// `takes_token`: the body starts with `own_token`.
    pub(crate) fn spec(
        &self,
        name: &str,
        place: Span,
        has_token: bool,
        takes_token: bool,
    ) -> TokenStream {
        let krate = &self.krate;
        let name = match &self.name {
            Some(name) => quote!(#name),
            None => quote!(#name),
        };
        let limit = self.limit.iter();
        let timeout = self.timeout.iter();
        let reject = self.rejects().then(|| quote!()).into_iter();
        let cooperate =
            (self.on_cancel(has_token) == OnCancel::Cooperate).then(|| quote!()).into_iter();
        let takes_token = takes_token.then(|| quote!()).into_iter();
        let grace = self.grace.iter().map(|given| match &given.value {
            Grace::Never => quote!(::core::option::Option::None),
            Grace::For(duration) => quote!(::core::option::Option::Some(#duration)),
        });
        let restart = self.restart.policy(krate).into_iter();
        let log = self.log.iter().map(|level| {
            let level = match level {
                FailureLevel::Error => quote!(Error),
                FailureLevel::Warn => quote!(Warn),
                FailureLevel::Info => quote!(Info),
                FailureLevel::Debug => quote!(Debug),
                FailureLevel::Off => quote!(Off),
            };
            quote!(#krate::__private::FailureLevel::#level)
        });
        // The call carries the place of the function's name, which `TaskSpec::new` reads as its caller.
        let new = quote_spanned!(place=> new);
        quote! {{
            static TOKIO_SUPERVISED_SPEC: #krate::__private::TaskSpec =
                #krate::__private::TaskSpec::#new(
                    #name,
                    #krate::__private::Policy::DEFAULT
                        #(.limit(#limit))*
                        #(.reject_when_full() #reject)*
                        #(.timeout(#timeout))*
                        #(.cooperate() #cooperate)*
                        #(.take_token() #takes_token)*
                        #(.grace(#grace))*
                        #(.restart(#restart))*
                        #(.log(#log))*
                );
            &TOKIO_SUPERVISED_SPEC
        }}
    }
}

fn is_none(value: &syn::Expr) -> bool {
    matches!(literal(value), Some(syn::Lit::Str(text)) if text.value() == "none")
}

fn parameter_name(value: &syn::Expr) -> Option<Ident> {
    match value {
        syn::Expr::Path(path) => path.path.get_ident().cloned(),
        syn::Expr::Group(group) => parameter_name(&group.expr),
        _ => None,
    }
}
