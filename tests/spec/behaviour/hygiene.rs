//! The attribute works if names around it are shadowed, and inside any `macro_rules!`.

// Public items in private modules; in a library they would be reachable.
#![allow(unreachable_pub)]

/// Shadows every name that generated code could use.
#[allow(dead_code, non_camel_case_types, non_upper_case_globals, unused_imports)]
mod hostile {
    use ::std::{primitive::u32, result::Result as Outcome};
    use ::tokio_supervised as ts;

    pub mod core {}
    pub mod std {}
    pub mod alloc {}
    pub mod tokio {}
    pub mod tokio_supervised {}
    pub mod __private {}
    pub struct Result;
    pub struct Option;
    pub enum Poll {}
    pub struct Some;
    pub struct None;
    pub struct Ok;
    pub struct Err;
    pub struct Box;
    pub trait Future {}
    pub trait Send {}
    pub trait Sized {}
    pub trait Clone {}
    pub trait From {}
    pub trait Into {}
    pub trait AsToken {}
    pub trait Fn {}
    pub trait FnOnce {}
    pub trait Drop {}
    pub trait Copy {}
    pub struct Supervised;
    pub struct Restarting;
    pub struct Restart;
    pub trait Runs {}
    pub fn restart_arg() {}
    pub struct CancellationToken;
    pub struct TaskSpec;
    pub struct Policy;
    pub struct Probe;
    pub type u64 = ();
    pub type bool = ();
    pub type usize = ();
    pub type str = ();
    pub const SPEC: u32 = 1;
    pub const TOKIO_SUPERVISED_OPTIONS: u32 = 1;
    pub const own: u32 = 1;
    pub const never: u32 = 1;
    pub const value: u32 = 1;
    pub const __token: u32 = 1;
    pub const __arg0: u32 = 1;
    pub const __arg1: u32 = 1;
    pub fn supervise() {}
    pub fn output() {}
    pub fn inferred() {}
    pub fn refused() {}
    pub fn verdict() {}
    #[allow(unused_macros)]
    macro_rules! compile_error {
        () => {};
    }
    #[allow(unused_macros)]
    macro_rules! unreachable {
        () => {};
    }
    #[allow(unused_macros)]
    macro_rules! supervised {
        () => {};
    }
    #[allow(unused_macros)]
    macro_rules! token {
        () => {};
    }

    /// Implements methods with the names that generated code calls for every type.
    pub trait Blanket: ::core::marker::Sized {
        fn verdict(&self) {}
        fn take(self) {}
        fn limit(self, _: ::core::primitive::usize) {}
        fn grace(self, _: ::core::time::Duration) {}
        fn timeout(self, _: ::core::time::Duration) {}
        fn cooperate(self) {}
        fn restart(self) {}
        fn backoff(self) {}
        fn clone(&self) {}
        fn as_token(&self) {}
    }
    impl<T> Blanket for T {}

    const MOST: ::core::primitive::usize = 16;

    #[ts::supervised(name = "hostile", limit = MOST, on_full = "reject", timeout = "1s")]
    pub async fn plain(n: u32, (a, _): (u32, u32)) -> Outcome<u32, ts::TaskError> {
        ::core::result::Result::Ok(n + a + SPEC + __arg1)
    }

    const WAITS: ::core::ops::Range<::core::time::Duration> =
        ::core::time::Duration::from_secs(1)..::core::time::Duration::from_secs(1);

    #[ts::supervised(restart = "on-failure", backoff = WAITS, max_restarts = "1/1s")]
    pub async fn restarts(n: u32, (a, _): (u32, u32)) -> Outcome<u32, ts::TaskError> {
        ::core::result::Result::Ok(n + a + SPEC + __arg1)
    }

    pub struct Owner(pub u32);

    // The derive would use names that are shadowed here.
    impl ::core::clone::Clone for Owner {
        fn clone(&self) -> Self {
            Self(self.0)
        }
    }

    impl Owner {
        #[ts::supervised(restart = "always", backoff = "1s..2s", max_restarts = "1/1s")]
        pub async fn restarts(
            mut self,
            stop: ts::CancellationToken,
        ) -> Outcome<u32, ts::TaskError> {
            self.0 += 1;
            stop.cancel();
            ::core::result::Result::Ok(self.0)
        }
    }

    #[ts::supervised(grace = "1s")]
    pub async fn lent(stop: &ts::CancellationToken, n: u32) -> Outcome<u32, ts::TaskError> {
        plain(stop, n, (__arg0, __token)).await
    }

    #[ts::supervised]
    pub async fn given(stop: ts::CancellationToken) {
        let _ = (stop, never, own);
    }

    #[ts::supervised]
    pub async fn borrowed_error(text: &::core::primitive::str) -> Outcome<u32, Borrowed<'_>> {
        ::core::result::Result::Err(Borrowed(text))
    }

    pub struct Borrowed<'a>(pub &'a ::core::primitive::str);

    impl ::core::convert::From<ts::TaskError> for Borrowed<'_> {
        fn from(_: ts::TaskError) -> Self {
            Self("")
        }
    }

    pub async fn tasks(
        root: &ts::CancellationToken,
    ) -> Outcome<::std::vec::Vec<u32>, ts::TaskError> {
        let group = ts::Group::new(root);
        group
            .spawn(ts::task!("ready", |_| ::core::future::ready(::core::result::Result::Ok(own))))
            .await;
        group
            .spawn(ts::task!("body", |stop| -> Outcome<u32, ts::TaskError> {
                lent(&stop, never).await
            }))
            .await;
        group.join().await
    }

    #[ts::supervised::main(flavor = "current_thread", grace = "1s", linger = "0s")]
    pub async fn main(stop: ts::CancellationToken) {
        given(stop).await;
    }

    pub fn run() {
        let _ = main();
    }
}

#[tokio::test]
async fn generated_code_does_not_depend_on_names_around_it() {
    let token = CancellationToken::new();
    assert_eq!(hostile::plain(&token, 1, (1, 0)).await.unwrap(), 4);
    assert_eq!(hostile::lent(&token, 1).await.unwrap(), 4);
    assert_eq!(hostile::restarts(&token, 1, (1, 0)).await.unwrap(), 4);
    assert_eq!(hostile::Owner(1).restarts(token.child_token()).await.unwrap(), 2);
    hostile::given(token.clone()).await;
    let Err(hostile::Borrowed(text)) = hostile::borrowed_error(&token, "text").await else {
        panic!("it fails");
    };
    assert_eq!(text, "text");
    assert_eq!(hostile::tasks(&token).await.unwrap(), [1, 4]);
}

#[test]
fn an_entry_depends_on_no_names_around_it() {
    hostile::run();
    let _ = bare::main();
}

use tokio_supervised::{CancellationToken, TaskError, supervised};

type Done = Result<u32, TaskError>;

/// Parameters with the names of injected variables.
#[supervised]
async fn named_like_ours(
    token: u32,
    value: u32,
    never: u32,
    own: u32,
    __token: u32,
    __arg0: u32,
    (__arg6, output): (u32, u32),
) -> Done {
    let spec = token + value + never + own;
    Ok(spec + __token + __arg0 + __arg6 + output)
}

/// Parameters with the names of prelude items, as far as bindings allow it.
#[supervised]
#[allow(non_snake_case)]
async fn named_like_the_prelude(Option: u32, Result: u32, this: u32, __private: u32) -> Done {
    Ok(Option + Result + this + __private)
}

/// The same for restarting functions, whose runs get clones.
#[supervised(restart = "on-failure")]
#[allow(non_snake_case)]
async fn kept_like_the_prelude(
    Option: u32,
    Kept: u32,
    token: u32,
    __supervised_kept_0: u32,
) -> Done {
    Ok(Option + Kept + token + __supervised_kept_0)
}

/// A module without any imports.
#[no_implicit_prelude]
mod bare {
    #[::tokio_supervised::supervised(limit = 4, timeout = "1s")]
    pub(super) async fn plain(n: u32) -> super::Done {
        super::Done::Ok(n)
    }

    #[::tokio_supervised::supervised(restart = "always", max_restarts = "1/1s")]
    pub(super) async fn restarts(
        token: &::tokio_supervised::CancellationToken,
        n: u32,
    ) -> super::Done {
        token.cancel();
        super::Done::Ok(n)
    }

    pub(super) async fn task(token: ::tokio_supervised::CancellationToken) -> super::Done {
        let task =
            ::tokio_supervised::task!("bare", |token| -> super::Done { plain(&token, 1).await });
        task(token).await
    }

    #[::tokio_supervised::supervised::main(flavor = "current_thread", grace = "1s")]
    pub(super) async fn main(
        token: ::tokio_supervised::CancellationToken,
    ) -> ::std::result::Result<(), ::tokio_supervised::TaskError> {
        plain(&token, 1).await.map(::std::mem::drop)
    }
}

/// The same with a token parameter.
#[supervised]
async fn named_like_ours_with_a_token(
    __token: &CancellationToken,
    token: u32,
    never: u32,
    (__arg3, _): (u32, u32),
) -> Done {
    assert!(!__token.is_cancelled());
    Ok(token + never + __arg3)
}

/// A constant that a generated pattern could match.
#[supervised]
async fn shadowed_inside() -> Done {
    #[allow(non_upper_case_globals)]
    const token: u32 = 1;
    #[allow(non_upper_case_globals)]
    const never: u32 = 2;
    fn supervise() -> u32 {
        4
    }
    Ok(token + never + supervise())
}

#[tokio::test]
async fn a_parameter_may_have_any_name() {
    let token = CancellationToken::new();
    assert_eq!(named_like_ours(&token, 1, 2, 4, 8, 16, 32, (64, 128)).await.unwrap(), 255);
    assert_eq!(named_like_ours_with_a_token(&token, 1, 2, (4, 0)).await.unwrap(), 7);
    assert_eq!(shadowed_inside(&token).await.unwrap(), 7);
    assert_eq!(named_like_the_prelude(&token, 1, 2, 4, 8).await.unwrap(), 15);
    assert_eq!(kept_like_the_prelude(&token, 1, 2, 4, 8).await.unwrap(), 15);
}

#[tokio::test]
async fn generated_code_does_not_depend_on_the_prelude() {
    let token = CancellationToken::new();
    assert_eq!(bare::plain(&token, 1).await.unwrap(), 1);
    assert_eq!(bare::restarts(&token.child_token(), 1).await.unwrap(), 1);
    assert_eq!(bare::task(token).await.unwrap(), 1);
}

/// The whole function is inside the macro.
macro_rules! whole {
    () => {
        #[supervised]
        async fn whole(n: u32, token: u32) -> Done {
            Ok(n + token)
        }
    };
}
whole!();

/// The parts of the function are passed in.
macro_rules! pieces {
    ($(#[$meta:meta])* $vis:vis $name:ident($($arg:ident: $ty:ty),*) -> $ret:ty $body:block) => {
        $(#[$meta])*
        #[supervised]
        $vis async fn $name($($arg: $ty),*) -> $ret $body
    };
}
pieces! {
    /// The documentation is passed in.
    pub pieces(n: u32, more: Vec<u32>) -> Result<u32, TaskError> {
        let sum: u32 = more.iter().sum();
        Ok(n + sum)
    }
}

/// The token's type, the pattern and the arguments are passed in.
macro_rules! typed {
    ($name:ident, $limit:expr, $label:literal, $timeout:expr, $token:ident: $ty:ty, $pat:pat => $value:expr) => {
        #[supervised(limit = $limit, name = $label, timeout = $timeout)]
        async fn $name($token: $ty, $pat: (u32, u32)) -> Done {
            assert!(!$token.is_cancelled());
            Ok($value)
        }
    };
}
typed!(typed_lent, 4, "typed", "1s", token: &CancellationToken, (a, b) => a + b);
typed!(typed_given, 2 + 2, "typed", std::time::Duration::from_secs(1), token: CancellationToken, (a, _) => a);

/// A name of the macro beside the same name of its caller.
macro_rules! mixed {
    ($name:ident, $n:ident) => {
        #[supervised]
        async fn $name($n: u32, n: u32) -> Done {
            Ok($n * 10 + n)
        }
    };
}
mixed!(mixed, n);

/// A whole item that is passed through.
macro_rules! through {
    ($item:item) => {
        #[supervised(limit = 1)]
        $item
    };
}
through! {
    async fn through((a, b): (u32, u32)) -> Done {
        Ok(a + b)
    }
}

/// A method whose receiver is passed in.
macro_rules! method {
    ($ty:ident, $self:ident, $name:ident, $body:expr) => {
        impl $ty {
            #[supervised]
            async fn $name(&$self, n: u32) -> Done {
                Ok($body + n)
            }
        }
    };
}
struct Holder(u32);
method!(Holder, self, method, self.0);

/// A return type and a body as fragments, without the block that the attribute adds.
macro_rules! fragments {
    ($name:ident, $ret:ty, $body:block) => {
        #[supervised]
        async fn $name() -> $ret $body
    };
}
fragments!(fragments, Result<u32, Box<dyn std::error::Error + Send + Sync>>, { Ok("7".parse::<u32>()?) });
fragments!(nothing, (), {});

#[tokio::test]
async fn functions_are_made_by_macros_in_any_layout() {
    let token = CancellationToken::new();
    assert_eq!(whole(&token, 1, 2).await.unwrap(), 3);
    assert_eq!(pieces(&token, 1, vec![2, 3]).await.unwrap(), 6);
    assert_eq!(typed_lent(&token, (1, 2)).await.unwrap(), 3);
    assert_eq!(typed_given(token.clone(), (1, 2)).await.unwrap(), 1);
    assert_eq!(mixed(&token, 1, 2).await.unwrap(), 12);
    assert_eq!(through(&token, (1, 2)).await.unwrap(), 3);
    assert_eq!(Holder(1).method(&token, 2).await.unwrap(), 3);
    assert_eq!(fragments(&token).await.unwrap(), 7);
    nothing(&token).await;
}

/// The crate under another path, as a library re-exports it.
mod facade {
    pub mod inner {
        pub use tokio_supervised::*;
    }
}

mod user {
    use super::facade::inner::{CancellationToken, Group, TaskError, supervised, task};

    #[supervised(crate = "crate::hygiene::facade::inner", limit = MOST, timeout = LONG)]
    pub async fn relative_to_the_crate(n: u32) -> Result<u32, TaskError> {
        Ok(n)
    }

    const MOST: usize = 3;
    const LONG: std::time::Duration = std::time::Duration::from_secs(1);

    #[supervised(crate = "super::facade::inner")]
    pub async fn relative_to_the_module(
        token: &CancellationToken,
        n: u32,
    ) -> Result<u32, TaskError> {
        relative_to_the_crate(token, n).await
    }

    pub async fn tasks(token: &CancellationToken) -> Result<Vec<u32>, TaskError> {
        let group = Group::new(token);
        group
            .spawn(task!(
                "body",
                crate = "super::facade::inner",
                |token| -> Result<u32, TaskError> { relative_to_the_module(&token, 1).await }
            ))
            .await;
        group.join().await
    }

    #[supervised::main(crate = "super::facade::inner", flavor = "current_thread", grace = LONG)]
    pub async fn main(token: CancellationToken) -> Result<(), TaskError> {
        tasks(&token).await.map(drop)
    }
}

#[tokio::test]
async fn the_crate_is_found_through_a_reexport() {
    let token = CancellationToken::new();
    assert_eq!(user::relative_to_the_crate(&token, 1).await.unwrap(), 1);
    assert_eq!(user::relative_to_the_module(&token, 1).await.unwrap(), 1);
    assert_eq!(user::tasks(&token).await.unwrap(), [1]);
}

#[test]
fn the_crate_is_found_through_a_reexport_by_an_entry() {
    let _ = user::main();
}
