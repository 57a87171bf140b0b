//! How many bytes of the stack one level of a recursion takes.

use std::{
    future::Future,
    hint::black_box,
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use tokio::runtime::Builder;
use tokio_supervised::{CancellationToken, TaskError, supervised};

pub type Boxed = Pin<Box<dyn Future<Output = Result<u32, TaskError>> + Send>>;

/// The stack address at which the innermost body is polled. One measurement at a time uses it.
static BOTTOM: AtomicUsize = AtomicUsize::new(0);

fn here() -> usize {
    let local = 0_u8;
    black_box(&raw const local).addr()
}

/// A boxed `async fn` that calls itself.
pub fn plain(token: CancellationToken, below: u32) -> Boxed {
    Box::pin(async move {
        if below == 0 {
            BOTTOM.store(here(), Ordering::Relaxed);
            return Ok(0);
        }
        Ok(1 + plain(token.clone(), below - 1).await?)
    })
}

/// Supervised functions with the same body, and how each is awaited.
macro_rules! recursions {
    ($($boxed:ident is $call:ident($($arguments:tt)*) $(.$err_into:ident())?;)*) => {$(
        pub fn $boxed(token: CancellationToken, below: u32) -> Boxed {
            Box::pin($call(token, below)$(.$err_into())?)
        }

        #[supervised($($arguments)*)]
        async fn $call(token: CancellationToken, below: u32) -> Result<u32, TaskError> {
            if below == 0 {
                BOTTOM.store(here(), Ordering::Relaxed);
                return Ok(0);
            }
            Ok(1 + $boxed(token.clone(), below - 1).await?)
        }
    )*};
}

recursions! {
    boxed is call(name = "recursion: call");
    converted is call_converted(name = "recursion: err_into").err_into();
    restarting is call_restarting(name = "recursion: restart", restart = "on-failure");
    both is call_both(name = "recursion: restart and err_into", restart = "on-failure").err_into();
}

/// The bytes of the stack that one level takes.
pub fn bytes_of_a_level(call: fn(CancellationToken, u32) -> Boxed) -> usize {
    const LEVELS: u32 = 200;
    let measure = move || {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime can be created");
        let top = here();
        let levels = runtime.block_on(call(CancellationToken::new(), LEVELS));
        assert_eq!(levels.expect("no level fails"), LEVELS);
        (top - BOTTOM.load(Ordering::Relaxed)) / LEVELS as usize
    };
    let measured = thread::Builder::new().stack_size(16 << 20).spawn(measure);
    let bytes = measured.expect("a thread can be started").join();
    bytes.expect("a stack of 16 MiB is enough")
}
