//! The exit story as the last paragraph of a function's documentation.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Meta};

/// The paragraph, if the function is documented: `missing_docs` reports the others.
pub(crate) fn paragraph(attributes: &[Attribute], story: &str) -> Option<TokenStream> {
    attributes.iter().any(is_documentation).then(|| {
        // The empty line ends any markdown block of the author.
        let text = format!("\n\n{story}");
        quote!(#[doc = #text])
    })
}

fn is_documentation(attribute: &Attribute) -> bool {
    matches!(&attribute.meta, Meta::NameValue(meta) if meta.path.is_ident("doc"))
}
