//! The declared return type, as a type of the signature and as one that an expression can name.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{quote, quote_spanned};
use syn::{
    GenericArgument, Path, PathArguments, ReturnType, Type,
    visit_mut::{VisitMut, visit_type_mut},
};

use crate::{
    diagnostics::Diagnostics,
    syntax::{first_span, peel_groups},
};

/// The return type of a supervised body.
pub(crate) struct Output {
    /// As the author wrote it; `()` if it is omitted.
    pub(crate) declared: Type,
    /// The same with `_` for each `impl Trait`, which an expression cannot name.
    nameable: Type,
    /// The place of errors about the return type.
    span: Span,
    refused: bool,
}

impl Output {
    pub(crate) fn new(written: &ReturnType) -> Self {
        let declared = match written {
            ReturnType::Default => syn::parse_quote!(()),
            ReturnType::Type(_, ty) => peel_groups(ty).clone(),
        };
        let span = match written {
            ReturnType::Default => Span::call_site(),
            ReturnType::Type(_, ty) => first_span(ty),
        };
        let mut nameable = declared.clone();
        ImplToInfer.visit_type_mut(&mut nameable);
        Self { declared, nameable, span, refused: false }
    }

    /// Refuses types that visibly cannot carry a failure; the trait `SupervisedOutput` refuses the rest.
    pub(crate) fn check(&mut self, diagnostics: &mut Diagnostics) {
        if let Some(instead) = instead_of(&self.declared) {
            diagnostics.refuse(
                &self.declared,
                format!("this return type cannot carry a failure\nhelp: write `-> {instead}`, or any `Result<_, E>` with `E: From<TaskError>`"),
            );
            if matches!(self.declared, Type::Never(_)) {
                self.declared = syn::parse_quote!(());
            }
            self.refused = true;
        }
    }

    /// Whether the body returns `()`.
    pub(crate) fn is_unit(&self) -> bool {
        matches!(&self.declared, Type::Tuple(tuple) if tuple.elems.is_empty())
    }

    /// The place of errors about the return type.
    pub(crate) fn span(&self) -> Span {
        self.span
    }

    pub(crate) fn is_refused(&self) -> bool {
        self.refused
    }

    /// A dead branch that returns the declared type. It gives the body its type, and errors their usual text.
    ///
    /// The compiler removes it, also from a debug build: a body has no place on the stack for it.
    pub(crate) fn return_edge(&self, krate: &Path) -> TokenStream {
        // An expression cannot name `!`.
        if self.refused || matches!(self.declared, Type::Never(_)) {
            return TokenStream::new();
        }
        let nameable = &self.nameable;
        quote_spanned! {self.span=>
            if false {
                return #krate::__private::declared::<#nameable>();
            }
        }
    }

    /// The function that classifies a value of this type as an outcome.
    ///
    /// The method is found by how much is known of the error type: the traits are implemented for
    /// ever fewer references, and the first that fits wins. Its name is none that a trait of the user's has,
    /// which may be implemented for everything.
    pub(crate) fn verdict(&self, krate: &Path) -> TokenStream {
        let nameable = &self.nameable;
        // Nothing is known of an `impl Termination`.
        if self.refused || matches!(self.declared, Type::Never(_) | Type::ImplTrait(_)) {
            return quote!(#krate::__private::always_ok);
        }
        if error_is_borrowed(&self.declared) {
            return quote! {{
                use #krate::__private::{
                    ByBorrowedError as _, ByDebug as _, ByDisplay as _, ByResult as _,
                };
                (&&&&#krate::__private::Probe::<#nameable>::NEW).__supervised_verdict()
            }};
        }
        quote! {{
            use #krate::__private::{
                ByAnyError as _, ByAnything as _, ByDebug as _, ByDisplay as _, ByError as _,
                ByResult as _, BySharedError as _,
            };
            (&&&&&&#krate::__private::Probe::<#nameable>::NEW).__supervised_verdict()
        }}
    }

    /// The runtime's check of the return type of `main`, in one expression at its place.
    pub(crate) fn exit(&self, krate: &Path) -> TokenStream {
        let verdict = self.verdict(krate);
        let exit = quote_spanned!(self.span=> exit);
        if matches!(self.declared, Type::Never(_)) {
            return quote!(#krate::__private::#exit(#verdict));
        }
        let nameable = &self.nameable;
        let exit = quote_spanned!(self.span=> exit::<#nameable>);
        quote!(#krate::__private::#exit(#verdict))
    }

    /// All checks of the return type by the runtime, in one expression at its place.
    pub(crate) fn contract(&self, krate: &Path) -> TokenStream {
        let verdict = self.verdict(krate);
        if self.refused {
            return quote!(#krate::__private::refused(#verdict));
        }
        let nameable = &self.nameable;
        let output = quote_spanned!(self.span=> output::<#nameable>);
        quote!(#krate::__private::#output(#verdict))
    }
}

/// The return type to write instead of a type that visibly is neither a `Result` nor `()`.
fn instead_of(declared: &Type) -> Option<String> {
    match declared {
        Type::Never(_) => Some("Result<(), TaskError>".to_owned()),
        Type::ImplTrait(_)
        | Type::Array(_)
        | Type::FnPtr(_)
        | Type::Ptr(_)
        | Type::Reference(_)
        | Type::Slice(_)
        | Type::TraitObject(_) => Some("Result<_, TaskError>".to_owned()),
        Type::Tuple(tuple) if !tuple.elems.is_empty() => Some("Result<_, TaskError>".to_owned()),
        Type::Path(path) => {
            let name = path.path.get_ident()?.to_string();
            PRIMITIVES.contains(&name.as_str()).then(|| format!("Result<{name}, TaskError>"))
        }
        _ => None,
    }
}

/// Types that are not shadowed in practice.
const PRIMITIVES: &[&str] = &[
    "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16", "u32",
    "u64", "u128", "usize",
];

struct ImplToInfer;

impl VisitMut for ImplToInfer {
    fn visit_type_mut(&mut self, ty: &mut Type) {
        if matches!(ty, Type::ImplTrait(_)) {
            *ty = syn::parse_quote!(_);
        } else {
            visit_type_mut(self, ty);
        }
    }
}

/// Whether the `E` of a `Result<T, E>` visibly borrows. It is not `'static` then, and its sources cannot be searched.
fn error_is_borrowed(ty: &Type) -> bool {
    let Type::Path(path) = peel_groups(ty) else { return false };
    let Some(PathArguments::AngleBracketed(arguments)) =
        path.path.segments.last().map(|segment| &segment.arguments)
    else {
        return false;
    };
    match arguments.args.iter().collect::<Vec<_>>()[..] {
        [_, GenericArgument::Type(error)] => has_lifetime(quote!(#error)),
        _ => false,
    }
}

/// Whether a type has a reference or a lifetime, other than `'static`.
fn has_lifetime(tokens: TokenStream) -> bool {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let has_lifetime = match token {
            TokenTree::Group(group) => has_lifetime(group.stream()),
            // The lifetime that follows decides.
            TokenTree::Punct(punct) if punct.as_char() == '&' => {
                !matches!(tokens.peek(), Some(TokenTree::Punct(next)) if next.as_char() == '\'')
            }
            TokenTree::Punct(punct) if punct.as_char() == '\'' => {
                !matches!(tokens.next(), Some(TokenTree::Ident(name)) if name == "static")
            }
            _ => false,
        };
        if has_lifetime {
            return true;
        }
    }
    false
}
