//! How much larger than its body a supervised future is: row 7.

use std::{
    hint::black_box,
    mem::{align_of_val, size_of_val},
    sync::Arc,
};

use tokio::task::yield_now;
use tokio_supervised::{CancellationToken, TaskError, supervised};

use crate::report::{self, Goal};

/// Aligned as strictly as what vector instructions load.
#[repr(align(32))]
struct Wide([u64; 4]);

/// The same function without supervision and with it.
macro_rules! functions {
    ($($plain:ident $supervised:ident ($($argument:ident: $type:ty),*) $body:block)*) => {$(
        async fn $plain($($argument: $type),*) -> Result<(), TaskError> $body

        #[supervised]
        async fn $supervised($($argument: $type),*) -> Result<(), TaskError> $body
    )*};
}

functions! {
    empty supervised_empty() { Ok(()) }

    arguments supervised_arguments(name: String, shared: Arc<str>) {
        yield_now().await;
        black_box((name, shared));
        Ok(())
    }

    wide supervised_wide(wide: Wide) {
        yield_now().await;
        black_box(wide.0);
        Ok(())
    }

    large_number supervised_large_number(n: u128) {
        yield_now().await;
        black_box(n);
        Ok(())
    }

    kibibyte supervised_kibibyte() {
        let kept = black_box([7_u8; 1024]);
        yield_now().await;
        black_box(&kept);
        Ok(())
    }

    mebibyte supervised_mebibyte() {
        let kept = black_box([7_u8; 1 << 20]);
        yield_now().await;
        black_box(&kept);
        Ok(())
    }
}

pub(crate) fn run() {
    report::row(7, "bytes that a supervised future is larger than its body");
    let token = CancellationToken::new();
    let argument = || Wide([7; 4]);
    let shared = || Arc::from("shared");
    compare("nothing", &empty(), &supervised_empty(token.clone()));
    compare("nothing, its token borrowed", &empty(), &supervised_empty(&token));
    let supervised = supervised_arguments(token.clone(), String::new(), shared());
    compare("two arguments", &arguments(String::new(), shared()), &supervised);
    compare("one of 128 bits", &large_number(7), &supervised_large_number(token.clone(), 7));
    let supervised = supervised_wide(token.clone(), argument());
    compare("one aligned to 32 bytes", &wide(argument()), &supervised);
    compare("1 KiB over an await", &kibibyte(), &supervised_kibibyte(token.clone()));
    compare("1 MiB over an await", &mebibyte(), &supervised_mebibyte(token.clone()));
}

/// The sizes that were counted before; a body with a stricter alignment makes more padding.
fn compare<F, S>(what: &str, body: &F, supervised: &S) {
    let goal = match align_of_val(body) {
        ..=8 => 72.0,
        16 => 96.0,
        _ => 128.0,
    };
    let (body, supervised) = (size_of_val(body), size_of_val(supervised));
    let what = format!("{what}: {supervised} bytes, its body {body}");
    report::count(&what, Some((supervised - body) as f64), Goal::AtMost(goal));
}
