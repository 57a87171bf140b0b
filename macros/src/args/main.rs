//! The arguments of `#[supervised::main]`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Lit, Path};

use super::{
    allow::{ALLOW, Allow},
    flavor::{self, Flavor},
    lines::{self, LINES},
    list::{Argument, Arguments, KnownKey},
    values::{self, Duration, Zero},
};
use crate::{
    diagnostics::{Diagnostics, nearest, quoted},
    syntax::{literal, runtime_item},
};

const KNOWN: &[KnownKey] = &[
    KnownKey::value("grace", "\"25s\""),
    KnownKey::value("linger", "\"5s\""),
    KnownKey::value("signals", "\"int term\""),
    KnownKey::value("warn_blocked", "\"1s\""),
    flavor::FLAVOR,
    flavor::WORKER_THREADS,
    LINES,
    ALLOW,
    KnownKey::value("crate", "\"::my_crate::supervised\""),
];

pub(crate) struct MainArgs {
    pub(crate) krate: Path,
    pub(crate) allow: Allow,
    /// Whether the body's lines are marked.
    pub(crate) lines: bool,
    grace: Option<Duration>,
    linger: Option<TokenStream>,
    signals: Option<Vec<&'static str>>,
    warn_blocked: Option<WarnBlocked>,
    flavor: Flavor,
}

impl MainArgs {
    pub(crate) fn parse(tokens: TokenStream, diagnostics: &mut Diagnostics) -> Self {
        let mut given = Arguments::parse(tokens, KNOWN, diagnostics);
        let krate = values::krate(&mut given, diagnostics);
        let args = Self {
            grace: given.take("grace").and_then(|argument| {
                values::duration(
                    &argument,
                    Zero::Refused,
                    "`Main::new().grace(…)`",
                    &krate,
                    diagnostics,
                )
            }),
            linger: given.take("linger").and_then(|argument| {
                let linger = values::duration(
                    &argument,
                    Zero::Allowed,
                    "`Main::new().linger(…)`",
                    &krate,
                    diagnostics,
                )?;
                // The compiler reports the error at the argument, if it is not shorter than the grace.
                let place = argument.key.span();
                let add = runtime_item(&krate, quote!(::__private::MainOptions::linger), place);
                let options = options_ident();
                let given = quote_spanned!(place=> (#options, #linger));
                Some(quote!(#add #given))
            }),
            signals: given.take("signals").and_then(|argument| signals(&argument, diagnostics)),
            warn_blocked: given
                .take("warn_blocked")
                .and_then(|argument| warn_blocked(&argument, &krate, diagnostics)),
            flavor: Flavor::take(&mut given, Flavor::MULTI_THREAD, &krate, diagnostics),
            lines: lines::take(&mut given, diagnostics),
            allow: Allow::take(&mut given, diagnostics),
            krate,
        };
        given.refuse_remaining(diagnostics);
        args
    }

    /// The options as the runtime crate takes them.
    pub(crate) fn options(&self) -> TokenStream {
        let krate = &self.krate;
        let grace = self.grace.iter();
        let linger = self.linger.iter();
        let flavor = self.flavor.options();
        let signals = self.signals.iter().map(|signals| {
            let signals = signals.iter().map(|name| Ident::new(name, Span::mixed_site()));
            quote!(&[#(#krate::Signal::#signals),*])
        });
        let warn_blocked = self.warn_blocked.iter().map(|warn_blocked| match warn_blocked {
            WarnBlocked::After(limit) => quote!(.warn_blocked(#limit)),
            WarnBlocked::Off => quote!(.without_blocked_warnings()),
        });
        let options = options_ident();
        quote! {{
            const TOKIO_SUPERVISED_OPTIONS: #krate::__private::MainOptions =
                {
                    let #options = #krate::__private::MainOptions::DEFAULT
                        #(.grace(#grace))*
                        #(.signals(#signals))*
                        #(#warn_blocked)*
                        #flavor;
                    #(let #options = #linger;)*
                    #options
                };
            TOKIO_SUPERVISED_OPTIONS
        }}
    }
}

/// The words of `signals`, and the variants of `Signal` that they stand for.
const SIGNALS: [(&str, &str); 3] = [("int", "Interrupt"), ("term", "Terminate"), ("hup", "Hangup")];

/// `"int term hup"`.
fn signals(argument: &Argument, diagnostics: &mut Diagnostics) -> Option<Vec<&'static str>> {
    let text = values::text(argument, diagnostics)?;
    let written = text.value();
    let mut signals = Vec::new();
    for word in written.split_whitespace() {
        let Some((_, signal)) = SIGNALS.iter().find(|(name, _)| *name == word) else {
            let names = SIGNALS.map(|(name, _)| name);
            let lower = word.to_lowercase();
            let meant = nearest(lower.strip_prefix("sig").unwrap_or(&lower), &names)
                .map(|name| format!("; did you mean `{name}`?"))
                .unwrap_or_default();
            diagnostics.refuse(
                &text,
                format!(
                    "`signals` does not know `{word}`{meant}\nhelp: write some of {}, as in `signals = \"int term\"`",
                    quoted(&names)
                ),
            );
            return None;
        };
        if signals.contains(signal) {
            diagnostics
                .refuse(&text, format!("`signals` names `{word}` twice\nhelp: keep one of them"));
            return None;
        }
        signals.push(*signal);
    }
    if signals.is_empty() {
        diagnostics.refuse(
            &text,
            "`signals` names no signal, and nothing would start a shutdown\nhelp: write `signals = \"int term\"`, or leave it out",
        );
        return None;
    }
    Some(signals)
}

enum WarnBlocked {
    After(Duration),
    Off,
}

/// `"1s"` or `"off"`.
fn warn_blocked(
    argument: &Argument,
    krate: &Path,
    diagnostics: &mut Diagnostics,
) -> Option<WarnBlocked> {
    if let Some(Lit::Str(text)) = literal(&argument.value) {
        if text.value() == "off" {
            return Some(WarnBlocked::Off);
        }
    }
    let at_run_time = "`Main::new().warn_blocked(…)`";
    values::duration(argument, Zero::Refused, at_run_time, krate, diagnostics)
        .map(WarnBlocked::After)
}

/// The options so far, under a name that the user's expressions cannot see.
fn options_ident() -> Ident {
    Ident::new("__supervised_options", Span::mixed_site())
}
