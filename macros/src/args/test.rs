//! The arguments of `#[supervised::test]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::Path;

use super::{
    allow::{ALLOW, Allow},
    flavor::{self, Flavor},
    lines::{self, LINES},
    list::{Arguments, KnownKey},
    values,
};
use crate::diagnostics::Diagnostics;

const KNOWN: &[KnownKey] = &[
    KnownKey::value("flavor", "\"multi_thread\""),
    flavor::WORKER_THREADS,
    KnownKey::value("start_paused", "true"),
    KnownKey::value("leaks", "\"allow\""),
    LINES,
    ALLOW,
    KnownKey::value("crate", "\"::my_crate::supervised\""),
];

pub(crate) struct TestArgs {
    pub(crate) krate: Path,
    pub(crate) allow: Allow,
    /// Whether the body's lines are marked.
    pub(crate) lines: bool,
    flavor: Flavor,
    start_paused: bool,
    leaks_allowed: bool,
}

impl TestArgs {
    /// `has_test_util` says whether time can be paused at all.
    pub(crate) fn parse(
        tokens: TokenStream,
        has_test_util: bool,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let mut given = Arguments::parse(tokens, KNOWN, diagnostics);
        let krate = values::krate(&mut given, diagnostics);
        let start_paused = given.take("start_paused");
        let mut args = Self {
            flavor: Flavor::take(&mut given, Flavor::CURRENT_THREAD, &krate, diagnostics),
            start_paused: false,
            leaks_allowed: given
                .take("leaks")
                .and_then(|argument| values::choice(&argument, &[("allow", ())], diagnostics))
                .is_some(),
            lines: lines::take(&mut given, diagnostics),
            allow: Allow::take(&mut given, diagnostics),
            krate,
        };
        if let Some(argument) = start_paused {
            match values::switch(&argument, diagnostics) {
                Some(true) if !args.flavor.current_thread => diagnostics.refuse(
                    &argument.key,
                    "`start_paused` needs the current-thread flavor\nhelp: write `flavor = \"current_thread\"`, or remove `start_paused`",
                ),
                Some(true) if !has_test_util => diagnostics.refuse(
                    &argument.key,
                    "`start_paused` needs the feature `test-util`\nhelp: write `tokio-supervised = { features = [\"test-util\"] }` in the `[dev-dependencies]` of `Cargo.toml`",
                ),
                paused => args.start_paused = paused.unwrap_or_default(),
            }
        }
        given.refuse_remaining(diagnostics);
        args
    }

    /// The options as the runtime crate takes them.
    pub(crate) fn options(&self) -> TokenStream {
        let krate = &self.krate;
        let flavor = self.flavor.options();
        let start_paused = self.start_paused.then(|| quote!(.start_paused()));
        let leaks = self.leaks_allowed.then(|| quote!(.allow_leaks()));
        quote! {{
            const TOKIO_SUPERVISED_OPTIONS: #krate::__private::TestOptions =
                #krate::__private::TestOptions::DEFAULT #flavor #start_paused #leaks;
            TOKIO_SUPERVISED_OPTIONS
        }}
    }
}
