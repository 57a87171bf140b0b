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
                "`#[supervised::main]` belongs on the program's `main` function\nhelp: write `async fn main(token: CancellationToken)`"
            }
            Self::Test => {
                "`#[supervised::test]` belongs on a test function\nhelp: write `async fn it_works() { … }`"
            }
        }
    }

    pub(crate) fn is_const(self) -> &'static str {
        match self {
            Self::Main => "the entry point of a program cannot be `const`\nhelp: remove `const`",
            Self::Test => "a test cannot be `const`\nhelp: remove `const`",
        }
    }

    pub(crate) fn is_extern(self) -> &'static str {
        match self {
            Self::Main => "the entry point of a program cannot be `extern`\nhelp: remove `extern`",
            Self::Test => "a test cannot be `extern`\nhelp: remove `extern`",
        }
    }

    pub(crate) fn is_generic(self) -> &'static str {
        match self {
            Self::Main => {
                "the entry point of a program cannot be generic\nhelp: remove the generic parameters"
            }
            Self::Test => "a test cannot be generic\nhelp: remove the generic parameters",
        }
    }

    /// The only parameter that an entry may have is the root token.
    pub(crate) fn takes_more(self, name: &Ident) -> String {
        let taker = match self {
            Self::Main => "the entry point",
            Self::Test => "a test",
        };
        format!(
            "{taker} takes no parameter but the root token\nhelp: write `async fn {name}(token: CancellationToken)`"
        )
    }
}
