//! The arguments of `#[supervised::main]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::Path;

use crate::{
    arguments::Arguments,
    diagnostics::Diagnostics,
    values::{self, Zero},
};

const KNOWN: &[&str] = &["grace", "linger", "flavor", "worker_threads", "crate"];

pub(crate) struct Args {
    pub(crate) krate: Path,
    grace: Option<TokenStream>,
    linger: Option<TokenStream>,
    current_thread: bool,
    worker_threads: Option<TokenStream>,
}

impl Args {
    pub(crate) fn parse(tokens: TokenStream, diagnostics: &mut Diagnostics) -> Self {
        let mut given = Arguments::parse(tokens, KNOWN, diagnostics);
        let worker_threads = given.take("worker_threads");
        let mut args = Self {
            krate: given
                .take("crate")
                .and_then(|argument| values::path(&argument, "::my_crate::supervised", diagnostics))
                .unwrap_or_else(|| syn::parse_quote!(::tokio_supervised)),
            grace: given.take("grace").and_then(|argument| {
                values::duration(&argument, "25s", Zero::Refused, diagnostics)
            }),
            linger: given
                .take("linger")
                .and_then(|argument| values::duration(&argument, "5s", Zero::Allowed, diagnostics)),
            current_thread: given
                .take("flavor")
                .and_then(|argument| {
                    values::choice(&argument, &["multi_thread", "current_thread"], diagnostics)
                })
                .is_some_and(|flavor| flavor == "current_thread"),
            worker_threads: None,
        };
        if let Some(argument) = worker_threads {
            if args.current_thread {
                diagnostics.refuse(
                    &argument.key,
                    "`worker_threads` needs the flavor that has workers: write `flavor = \"multi_thread\"` or remove it",
                );
            } else {
                args.worker_threads = values::count(&argument, diagnostics);
            }
        }
        given.refuse_the_rest(diagnostics);
        args
    }

    /// The options as the runtime crate takes them.
    pub(crate) fn options(&self) -> TokenStream {
        let krate = &self.krate;
        let grace = self.grace.iter();
        let linger = self.linger.iter();
        let current_thread = self.current_thread.then(|| quote!()).into_iter();
        let worker_threads = self.worker_threads.iter();
        quote! {
            #krate::__private::MainOptions::DEFAULT
                #(.grace(#grace))*
                #(.linger(#linger))*
                #(.current_thread() #current_thread)*
                #(.worker_threads(#worker_threads))*
        }
    }
}
