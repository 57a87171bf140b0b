//! The arguments of `#[supervised::main]`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::Path;

use crate::{
    arguments::{Arguments, Known},
    diagnostics::{Diagnostics, item_of},
    function::allow::{ALLOW, Allow},
    values::{self, Zero},
};

const KNOWN: &[Known] = &[
    ("grace", "\"25s\""),
    ("linger", "\"5s\""),
    ("flavor", "\"current_thread\""),
    ("worker_threads", "4"),
    ALLOW,
    ("crate", "\"::my_crate::supervised\""),
];

pub(crate) struct Args {
    pub(crate) krate: Path,
    pub(crate) allow: Allow,
    grace: Option<TokenStream>,
    linger: Option<TokenStream>,
    current_thread: bool,
    worker_threads: Option<TokenStream>,
}

impl Args {
    pub(crate) fn parse(tokens: TokenStream, diagnostics: &mut Diagnostics) -> Self {
        let mut given = Arguments::parse(tokens, KNOWN, diagnostics);
        let worker_threads = given.take("worker_threads");
        let krate = given
            .take("crate")
            .and_then(|argument| values::path(&argument, "::my_crate::supervised", diagnostics))
            .unwrap_or_else(|| syn::parse_quote!(::tokio_supervised));
        let mut args = Self {
            grace: given.take("grace").and_then(|argument| {
                values::duration(&argument, "25s", Zero::Refused, &krate, diagnostics)
            }),
            linger: given.take("linger").and_then(|argument| {
                let linger = values::duration(&argument, "5s", Zero::Allowed, &krate, diagnostics)?;
                // Told at the argument, where it is not shorter than the grace.
                let place = argument.key.span();
                let add = item_of(&krate, quote!(::__private::MainOptions::linger), place);
                let options = so_far();
                let given = quote_spanned!(place=> (#options, #linger));
                Some(quote!(#add #given))
            }),
            current_thread: given
                .take("flavor")
                .and_then(|argument| {
                    values::choice(&argument, &["multi_thread", "current_thread"], diagnostics)
                })
                .is_some_and(|flavor| flavor == "current_thread"),
            worker_threads: None,
            allow: Allow::take(&mut given, diagnostics),
            krate,
        };
        if let Some(argument) = worker_threads {
            if args.current_thread {
                diagnostics.refuse(
                    &argument.key,
                    "`worker_threads` needs the flavor that has workers: write `flavor = \"multi_thread\"` or remove it",
                );
            } else {
                args.worker_threads = values::count(&argument, &args.krate, diagnostics);
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
        let options = so_far();
        quote! {{
            const TOKIO_SUPERVISED_OPTIONS: #krate::__private::MainOptions =
                {
                    let #options = #krate::__private::MainOptions::DEFAULT
                        #(.grace(#grace))*
                        #(.current_thread() #current_thread)*
                        #(.worker_threads(#worker_threads))*;
                    #(let #options = #linger;)*
                    #options
                };
            TOKIO_SUPERVISED_OPTIONS
        }}
    }
}

/// The options so far, where the user's expressions cannot see them.
fn so_far() -> Ident {
    Ident::new("__supervised_options", Span::mixed_site())
}
