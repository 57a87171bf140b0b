//! `#[supervised::test]` in either edition, and among shadowed names.

use tokio_supervised::{CancellationToken, TaskError, supervised};

#[supervised::test]
async fn nothing() {}

/// Documented.
#[supervised::test]
async fn a_test_with_an_owned_token(token: CancellationToken) -> Result<(), TaskError> {
    assert!(!token.is_cancelled());
    Ok(())
}

#[supervised::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_with_a_borrowed_token(token: &CancellationToken) {
    #![allow(clippy::needless_return)]
    token.cancel();
    return;
}

#[supervised::test]
#[should_panic(expected = "as it was")]
async fn a_panic() {
    panic!("as it was");
}

macro_rules! tests {
    ($($name:ident $body:block)*) => {$(
        #[supervised::test]
        async fn $name() -> Result<(), TaskError> $body
    )*};
}

tests! {
    from_a_macro { Ok(()) }
    from_a_macro_once_more { tokio::task::yield_now().await; Ok(()) }
}

mod names_of_its_own {
    #![allow(dead_code, non_camel_case_types)]

    mod core {}
    mod std {}
    mod tokio_supervised {}
    struct test;
    struct Option;

    #[::tokio_supervised::supervised::test]
    async fn works() {}
}
