//! The attributes of [`tokio-supervised`](https://docs.rs/tokio-supervised).
//!
//! This crate is an implementation detail: depend on `tokio-supervised`, which re-exports all of it
//! and documents it for the person who uses it.
//!
//! Each door below parses, checks and expands; whatever can live in the runtime crate lives there.

#![forbid(unsafe_code)]

mod arguments;
mod depth;
mod diagnostics;
mod entry;
mod function;
mod output;
mod task;
#[cfg(test)]
mod testing;
mod values;

use proc_macro::TokenStream;

// Documented where it is re-exported, beside the types that the documentation links to.
#[allow(missing_docs)]
#[proc_macro_attribute]
pub fn supervised(arguments: TokenStream, item: TokenStream) -> TokenStream {
    function::expand(arguments.into(), item.into()).into()
}

#[allow(missing_docs)]
#[proc_macro_attribute]
pub fn main(arguments: TokenStream, item: TokenStream) -> TokenStream {
    entry::main(arguments.into(), item.into()).into()
}

#[allow(missing_docs)]
#[proc_macro_attribute]
pub fn test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    entry::test(arguments.into(), item.into(), cfg!(feature = "test-util")).into()
}

#[allow(missing_docs)]
#[proc_macro]
pub fn task(input: TokenStream) -> TokenStream {
    task::expand(input.into()).into()
}
