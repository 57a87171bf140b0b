//! The arguments of `#[supervised::main]`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::Path;

use super::{
    allow::{ALLOW, Allow},
    flavor::{self, Flavor},
    list::{Arguments, KnownKey},
    values::{self, Duration, Zero},
};
use crate::{diagnostics::Diagnostics, syntax::runtime_item};

const KNOWN: &[KnownKey] = &[
    KnownKey::value("grace", "\"25s\""),
    KnownKey::value("linger", "\"5s\""),
    flavor::FLAVOR,
    flavor::WORKER_THREADS,
    ALLOW,
    KnownKey::value("crate", "\"::my_crate::supervised\""),
];

pub(crate) struct MainArgs {
    pub(crate) krate: Path,
    pub(crate) allow: Allow,
    grace: Option<Duration>,
    linger: Option<TokenStream>,
    flavor: Flavor,
}

impl MainArgs {
    pub(crate) fn parse(tokens: TokenStream, diagnostics: &mut Diagnostics) -> Self {
        let mut given = Arguments::parse(tokens, KNOWN, diagnostics);
        let krate = values::krate(&mut given, diagnostics);
        let args = Self {
            grace: given.take("grace").and_then(|argument| {
                values::duration(&argument, Zero::Refused, &krate, diagnostics)
            }),
            linger: given.take("linger").and_then(|argument| {
                let linger = values::duration(&argument, Zero::Allowed, &krate, diagnostics)?;
                // The compiler reports the error at the argument, if it is not shorter than the grace.
                let place = argument.key.span();
                let add = runtime_item(&krate, quote!(::__private::MainOptions::linger), place);
                let options = options_ident();
                let given = quote_spanned!(place=> (#options, #linger));
                Some(quote!(#add #given))
            }),
            flavor: Flavor::take(&mut given, Flavor::MULTI_THREAD, &krate, diagnostics),
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
        let options = options_ident();
        quote! {{
            const TOKIO_SUPERVISED_OPTIONS: #krate::__private::MainOptions =
                {
                    let #options = #krate::__private::MainOptions::DEFAULT
                        #(.grace(#grace))*
                        #flavor;
                    #(let #options = #linger;)*
                    #options
                };
            TOKIO_SUPERVISED_OPTIONS
        }}
    }
}

/// The options so far, under a name that the user's expressions cannot see.
fn options_ident() -> Ident {
    Ident::new("__supervised_options", Span::mixed_site())
}
