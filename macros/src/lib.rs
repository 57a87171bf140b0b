//! The attributes of [`tokio-supervised`](https://docs.rs/tokio-supervised).
//!
//! This crate is an implementation detail: depend on `tokio-supervised`, which re-exports all of it and documents it
//! for its users.
//!
//! Each macro parses, checks and prints (`expand`). Everything that can live in the runtime crate does.

#![forbid(unsafe_code)]

mod args;
mod check;
mod diagnostics;
mod emit;
mod expand;
mod header;
mod item;
mod output;
mod syntax;
#[cfg(test)]
mod testing;

use proc_macro::TokenStream;

// Documented where it is re-exported, beside the types that the documentation links to.
#[allow(missing_docs)]
#[proc_macro_attribute]
pub fn supervised(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::supervised(arguments.into(), item.into()).into()
}

#[allow(missing_docs)]
#[proc_macro_attribute]
pub fn main(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::main(arguments.into(), item.into()).into()
}

#[allow(missing_docs)]
#[proc_macro_attribute]
pub fn test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::test(arguments.into(), item.into(), cfg!(feature = "test-util")).into()
}

#[allow(missing_docs)]
#[proc_macro]
pub fn task(input: TokenStream) -> TokenStream {
    expand::task(input.into()).into()
}
