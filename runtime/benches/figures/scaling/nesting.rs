//! Runs inside runs.

use std::hint::black_box;

use tokio::runtime::Builder;
use tokio_supervised::{CancellationToken, TaskError, supervised};

use super::curve::{self, Round};
use crate::settings::Settings;

type Returns = Result<(), TaskError>;

#[supervised]
async fn innermost(n: u64) -> Result<u64, TaskError> {
    Ok(black_box(n))
}

/// Functions of which each calls the one before it: supervised ones, and the same plain.
macro_rules! nested {
    ($inner:ident $plain_inner:ident) => {};
    ($inner:ident $plain_inner:ident, $outer:ident $plain_outer:ident $(, $rest:ident $plain:ident)*) => {
        #[supervised]
        async fn $outer(token: &CancellationToken, runs: u64) -> Returns {
            $inner(token, runs).await
        }

        async fn $plain_outer(token: &CancellationToken, runs: u64) -> Returns {
            $plain_inner(token, runs).await
        }

        nested!($outer $plain_outer $(, $rest $plain)*);
    };
}

#[supervised]
async fn a1(token: &CancellationToken, runs: u64) -> Returns {
    for n in 0..runs {
        black_box(innermost(token, n).await?);
    }
    Ok(())
}

async fn p1(token: &CancellationToken, runs: u64) -> Returns {
    for n in 0..runs {
        black_box(innermost(token, n).await?);
    }
    Ok(())
}

nested!(
    a1 p1, a2 p2, a3 p3, a4 p4, a5 p5, a6 p6, a7 p7, a8 p8, a9 p9, a10 p10, a11 p11, a12 p12,
    a13 p13, a14 p14, a15 p15, a16 p16, a17 p17, a18 p18, a19 p19, a20 p20, a21 p21, a22 p22,
    a23 p23, a24 p24, a25 p25, a26 p26, a27 p27, a28 p28, a29 p29, a30 p30, a31 p31, a32 p32
);

const DEPTHS: [usize; 6] = [1, 2, 4, 8, 16, 32];

pub(super) fn run(settings: &Settings) {
    let runtime = Builder::new_current_thread().build();
    let runtime = &runtime.expect("the operating system gives a runtime");
    let token = &CancellationToken::new();
    // As many runs at every depth.
    let calls = settings.calls / 64 * 32;

    macro_rules! round {
        ($function:ident, $nests:expr, $runs:expr) => {
            Box::new(move || {
                runtime.block_on(async {
                    for _ in 0..$nests {
                        $function(token, black_box($runs)).await.expect("no run fails");
                    }
                });
            })
        };
    }
    macro_rules! at_depth {
        ($depth:expr, $nests:expr, $runs:expr, [$one:ident $two:ident $four:ident $eight:ident $sixteen:ident $all:ident]) => {{
            let round: Round<'_> = match $depth {
                1 => round!($one, $nests, $runs),
                2 => round!($two, $nests, $runs),
                4 => round!($four, $nests, $runs),
                8 => round!($eight, $nests, $runs),
                16 => round!($sixteen, $nests, $runs),
                _ => round!($all, $nests, $runs),
            };
            round
        }};
    }
    curve::draw(
        "nested runs: one run, so deep",
        settings,
        calls,
        &DEPTHS,
        |depth| at_depth!(depth, 1, calls, [a1 a2 a4 a8 a16 a32]),
    );
    curve::draw(
        "nested runs: each run at this depth",
        settings,
        calls,
        &DEPTHS,
        |depth| at_depth!(depth, calls / depth as u64, 0, [a1 a2 a4 a8 a16 a32]),
    );
    curve::draw(
        "the same of plain async functions",
        settings,
        calls,
        &DEPTHS,
        |depth| at_depth!(depth, calls / depth as u64, 0, [p1 p2 p4 p8 p16 p32]),
    );
}
