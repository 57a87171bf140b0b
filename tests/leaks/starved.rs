//! Clean tests do not fail on a machine that gives them little time.

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
};

use tokio_supervised::{TaskError, supervised};

/// Threads that wake, run and end late: two tests leave one, and one leaves twenty.
macro_rules! clean_tests {
    ($($module:ident)*) => {$(
        mod $module {
            use super::*;

            #[supervised::test]
            async fn one() -> Result<(), TaskError> {
                tokio::task::spawn_blocking(|| ()).await.unwrap();
                Ok(())
            }

            #[supervised::test]
            async fn file() -> Result<(), TaskError> {
                drop(tokio::fs::read("/proc/self/stat").await.unwrap());
                Ok(())
            }

            #[supervised::test(
                flavor = "multi_thread",
                worker_threads = 2,
                allow(detached_spawn)
            )]
            async fn twenty() -> Result<(), TaskError> {
                let yields = std::thread::yield_now;
                let tasks: Vec<_> = (0..20).map(|_| tokio::task::spawn_blocking(yields)).collect();
                for task in tasks {
                    task.await.unwrap();
                }
                Ok(())
            }
        }
    )*};
}

clean_tests!(a b c d e f g h i j k l m n o p q r s t);

#[test]
#[ignore = "long: it uses all processors for half a minute"]
fn clean_tests_pass_on_a_starved_machine() {
    let stop = Arc::new(AtomicBool::new(false));
    let busy = |_| {
        let stop = stop.clone();
        thread::spawn(move || while !stop.load(Relaxed) {})
    };
    let busy: Vec<_> = (0..8).map(busy).collect();
    let runs = (0..8).map(|_| {
        Command::new("nice")
            .arg(std::env::current_exe().unwrap())
            .args(["starved::", "--test-threads", "64"])
            .env("RUST_BACKTRACE", "0")
            .output()
            .unwrap()
    });
    let failed = runs.filter(|run| !run.status.success()).collect::<Vec<_>>();
    stop.store(true, Relaxed);
    busy.into_iter().for_each(|busy| busy.join().unwrap());
    assert!(failed.is_empty(), "{failed:#?}");
}
