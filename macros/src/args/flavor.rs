//! `flavor` and `worker_threads`: the configuration of an entry's runtime.

use proc_macro2::TokenStream;
use quote::quote;
use syn::Path;

use super::{
    list::{Arguments, KnownKey},
    values::{self, Count},
};
use crate::diagnostics::Diagnostics;

pub(super) const FLAVOR: KnownKey = KnownKey::value("flavor", "\"current_thread\"");
pub(super) const WORKER_THREADS: KnownKey = KnownKey::value("worker_threads", "4");

pub(super) struct Flavor {
    pub(super) current_thread: bool,
    worker_threads: Option<Count>,
}

impl Flavor {
    pub(super) const MULTI_THREAD: &str = "multi_thread";
    pub(super) const CURRENT_THREAD: &str = "current_thread";

    /// Takes both arguments; `default` is the flavor if none is given.
    pub(super) fn take(
        given: &mut Arguments,
        default: &'static str,
        krate: &Path,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let flavor = given
            .take("flavor")
            .and_then(|argument| {
                let choices = [Self::MULTI_THREAD, Self::CURRENT_THREAD].map(|name| (name, name));
                values::choice(&argument, &choices, diagnostics)
            })
            .unwrap_or(default);
        let mut flavor =
            Self { current_thread: flavor == Self::CURRENT_THREAD, worker_threads: None };
        if let Some(argument) = given.take("worker_threads") {
            if flavor.current_thread {
                diagnostics.refuse(
                    &argument.key,
                    "`worker_threads` needs the multi-thread flavor\nhelp: write `flavor = \"multi_thread\"`, or remove `worker_threads`",
                );
            } else {
                flavor.worker_threads = values::count(&argument, krate, diagnostics);
            }
        }
        flavor
    }

    /// Both, as the options of either entry take them.
    pub(super) fn options(&self) -> TokenStream {
        let flavor = self.current_thread.then(|| quote!(.current_thread()));
        let worker_threads =
            self.worker_threads.as_ref().map(|threads| quote!(.worker_threads(#threads)));
        quote!(#flavor #worker_threads)
    }
}
