//! The two entries, and their messages about a header that they cannot have.

use syn::Ident;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryKind {
    Main,
    Test,
}

impl EntryKind {
    pub(crate) fn is_no_function(self) -> &'static str {
        match self {
            Self::Main => {
                "`#[supervised::main]` goes on the program's entry: write `async fn main(token: CancellationToken)`"
            }
            Self::Test => "`#[supervised::test]` goes on a test: write `async fn it_works() { … }`",
        }
    }

    pub(crate) fn is_const(self) -> &'static str {
        match self {
            Self::Main => "the entry of a program runs when it starts: remove `const`",
            Self::Test => "a test runs on a runtime, never at compile time: remove `const`",
        }
    }

    pub(crate) fn is_extern(self) -> &'static str {
        match self {
            Self::Main => "the entry of a program is called by Rust: remove `extern`",
            Self::Test => "a test is called by Rust: remove `extern`",
        }
    }

    pub(crate) fn is_generic(self) -> &'static str {
        match self {
            Self::Main => "the entry of a program is not generic: remove the parameters",
            Self::Test => "a test is not generic: remove the parameters",
        }
    }

    /// The only parameter that an entry may have is the root token.
    pub(crate) fn takes_more(self, name: &Ident) -> String {
        let taker = match self {
            Self::Main => "the entry",
            Self::Test => "a test",
        };
        format!(
            "{taker} takes the root token and nothing else: write `async fn {name}(token: CancellationToken)`"
        )
    }
}
