//! Parameters, patterns, locals and `self` drop in the order of a plain `async fn`.
//!
//! Each function is written once and compiled twice: plain and supervised. Each is dropped after completion, while
//! pending, and before its first poll.

use std::{
    future::Future,
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use tokio_supervised::{CancellationToken, TaskError};

/// The names of dropped values, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<&'static str>>>);

/// Logs its name when it is dropped.
struct Noisy(&'static str, Log);

impl Drop for Noisy {
    fn drop(&mut self) {
        self.1.0.lock().expect("no drop panics").push(self.0);
    }
}

impl Log {
    fn noisy(&self, name: &'static str) -> Noisy {
        Noisy(name, self.clone())
    }

    fn pair(&self, first: &'static str, second: &'static str) -> Pair {
        Pair { first: self.noisy(first), second: self.noisy(second) }
    }

    fn take(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.0.lock().expect("no drop panics"))
    }
}

struct Pair {
    first: Noisy,
    second: Noisy,
}

/// Pending once, then ready.
struct Pause(bool);

impl Future for Pause {
    type Output = ();

    fn poll(mut self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) { Poll::Ready(()) } else { Poll::Pending }
    }
}

type Done = Result<(), TaskError>;

/// Compiles the same functions plain and supervised.
macro_rules! both_ways {
    ($($item:item)*) => {
        mod plain {
            use super::*;
            $($item)*
        }
        mod supervised {
            use super::*;
            use tokio_supervised::supervised;
            $(#[supervised] $item)*
        }
    };
}

both_ways! {
    pub(super) async fn named(first: Noisy, second: Noisy, _third: Noisy) -> Done {
        Pause(false).await;
        let _ = (&second, &first);
        Ok(())
    }

    pub(super) async fn never_named(_first: Noisy, _second: Noisy, log: Log) -> Done {
        let _local = log.noisy("local");
        Pause(false).await;
        Ok(())
    }

    pub(super) async fn discarded(_: Noisy, first: Noisy, _: Noisy, _second: Noisy) -> Done {
        let _ = &first;
        Pause(false).await;
        Ok(())
    }

    pub(super) async fn patterns(
        Pair { second, .. }: Pair,
        (_, a): (Noisy, Noisy),
        [b, _]: [Noisy; 2],
        mut last: Noisy,
    ) -> Done {
        last.0 = "changed";
        Pause(false).await;
        let _ = (&a, &b, &second);
        Ok(())
    }

    #[allow(clippy::toplevel_ref_arg)]
    pub(super) async fn bound_twice(ref first: Noisy, second @ Pair { .. }: Pair) -> Done {
        Pause(false).await;
        let _ = (&first.0, &second.first, &second.second);
        Ok(())
    }

    pub(super) async fn moved_out(first: Noisy, second: Noisy, log: Log) -> Done {
        let _early = log.noisy("local");
        drop(first);
        Pause(false).await;
        drop(second);
        let _late = log.noisy("late");
        Ok(())
    }

    pub(super) async fn moved_into_a_local(first: Noisy, second: Noisy) -> Done {
        let _kept = second;
        Pause(false).await;
        let _ = &first;
        Ok(())
    }

    pub(super) async fn returns_early(first: Noisy, second: Noisy, log: Log) -> Done {
        let _local = log.noisy("local");
        if first.0 == "first" {
            Pause(false).await;
            return Ok(());
        }
        drop(second);
        Ok(())
    }

    pub(super) async fn temporary_in_the_tail(first: Noisy, log: Log) -> Done {
        let _local = log.noisy("local");
        Pause(false).await;
        let _ = &first;
        match log.noisy("temporary").0 {
            "temporary" => Ok(()),
            _ => unreachable!(),
        }
    }

    #[allow(clippy::unnecessary_operation)]
    pub(super) async fn temporary_while_pending(first: Noisy, log: Log) -> Done {
        (log.noisy("temporary"), Pause(false).await).1;
        let _ = &first;
        Ok(())
    }
}

/// The same for methods, which `both_ways!` cannot express.
macro_rules! methods {
    ($module:ident, $($attribute:ident)?) => {
        mod $module {
            use super::*;
            $(use tokio_supervised::$attribute;)?

            impl Pair {
                $(#[$attribute])?
                pub(super) async fn $module(self, _other: Noisy) -> Done {
                    Pause(false).await;
                    Ok(())
                }
            }
            impl Noisy {
                $(#[$attribute])?
                pub(super) async fn $module(mut self, log: Log, other: Noisy) -> Done {
                    self.0 = "changed";
                    let _local = log.noisy("local");
                    Pause(false).await;
                    let _ = &other;
                    Ok(())
                }
            }
        }
    };
}

methods!(plain_method,);
methods!(supervised_method, supervised);

/// When the future is dropped.
#[derive(Clone, Copy, Debug)]
enum When {
    AtItsEnd,
    Pending,
    Unpolled,
}

/// Drives a future up to the given point and returns what has been dropped at the end.
fn observe<F: Future<Output = Done>>(when: When, log: &Log, future: F) -> Vec<&'static str> {
    let mut cx = Context::from_waker(Waker::noop());
    {
        // Dropped in place: moving the future would hide the drop order of its fields.
        let mut future = pin!(future);
        match when {
            When::Unpolled => {}
            When::Pending => assert!(future.as_mut().poll(&mut cx).is_pending()),
            When::AtItsEnd => {
                assert!(future.as_mut().poll(&mut cx).is_pending());
                assert!(matches!(future.as_mut().poll(&mut cx), Poll::Ready(Ok(()))));
                log.0.lock().expect("no drop panics").push("returned");
            }
        }
    }
    log.take()
}

/// Compares a plain and a supervised function for all three kinds of drop.
fn assert_same<P, S>(plain: impl Fn(&Log) -> P, supervised: impl Fn(&Log) -> S)
where
    P: Future<Output = Done>,
    S: Future<Output = Done>,
{
    for when in [When::AtItsEnd, When::Pending, When::Unpolled] {
        let log = Log::default();
        let expected = observe(when, &log, plain(&log));
        let log = Log::default();
        let found = observe(when, &log, supervised(&log));
        assert!(!expected.is_empty(), "{when:?}: nothing was observed");
        assert_eq!(found, expected, "{when:?}");
    }
}

fn token() -> CancellationToken {
    CancellationToken::new()
}

/// Generates one test for a function and its arguments.
macro_rules! drops_like_plain {
    ($($test:ident: $name:ident(|$log:ident| $($argument:expr),*);)*) => {$(
        #[test]
        fn $test() {
            assert_same(
                |$log| plain::$name($($argument),*),
                |$log| supervised::$name(token(), $($argument),*),
            );
        }
    )*};
}

drops_like_plain! {
    parameters_drop_last_to_first:
        named(|log| log.noisy("first"), log.noisy("second"), log.noisy("third"));
    unused_parameters_drop_with_the_others:
        never_named(|log| log.noisy("first"), log.noisy("second"), log.clone());
    discarded_parameters_live_to_the_end:
        discarded(|log| log.noisy("_1"), log.noisy("first"), log.noisy("_2"), log.noisy("second"));
    the_parts_of_a_pattern_drop_in_binding_order:
        patterns(
            |log| log.pair("pair 1", "pair 2"),
            (log.noisy("tuple 1"), log.noisy("tuple 2")),
            [log.noisy("array 1"), log.noisy("array 2")],
            log.noisy("last")
        );
    references_and_bindings_keep_their_values:
        bound_twice(|log| log.noisy("first"), log.pair("pair 1", "pair 2"));
    a_moved_value_drops_at_its_destination:
        moved_out(|log| log.noisy("first"), log.noisy("second"), log.clone());
    a_parameter_moved_into_a_local_drops_as_a_local:
        moved_into_a_local(|log| log.noisy("first"), log.noisy("second"));
    an_early_return_keeps_the_drop_order:
        returns_early(|log| log.noisy("first"), log.noisy("second"), log.clone());
    temporaries_of_the_tail_drop_before_the_parameters:
        temporary_in_the_tail(|log| log.noisy("first"), log.clone());
    a_temporary_across_an_await_drops_in_order:
        temporary_while_pending(|log| log.noisy("first"), log.clone());
}

#[test]
fn a_receiver_unused_by_the_body_drops_with_the_parameters() {
    assert_same(
        |log| log.pair("self 1", "self 2").plain_method(log.noisy("other")),
        |log| log.pair("self 1", "self 2").supervised_method(token(), log.noisy("other")),
    );
}

#[test]
fn a_receiver_that_the_body_changes_drops_with_the_parameters() {
    assert_same(
        |log| log.noisy("self").plain_method(log.clone(), log.noisy("other")),
        |log| log.noisy("self").supervised_method(token(), log.clone(), log.noisy("other")),
    );
}
