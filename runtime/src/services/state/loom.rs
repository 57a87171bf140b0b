use std::{future::poll_fn, panic::Location, task::Poll};

use crate::{
    services::state::{Kind, Phase, State},
    services::task::End,
    sync::{join, model, spawn},
};

/// Invariant 3.
#[test]
fn run_sleeps_through_no_end() {
    model(Some(3), || {
        let state = State::new(Location::caller());
        let ids = ["a", "b"].map(|name| state.add(name, Kind::Background).expect("a new name"));
        let ends = ids.map(|id| spawn(&state, move |state| state.set_ended(id, End::Ok)));
        let mut taken = 0;
        loom::future::block_on(poll_fn(|cx| {
            loop {
                while state.take_ended().is_some() {
                    taken += 1;
                }
                if taken == 2 {
                    return Poll::Ready(());
                }
                if !state.take_news(cx.waker()) {
                    return Poll::Pending;
                }
            }
        }));
        ends.into_iter().for_each(join);
    });
}

/// Invariant 2: an end is handled by `run`, by its drop, or by the task itself.
#[test]
fn an_end_during_the_drop_is_handled_once() {
    model(None, || {
        let state = State::new(Location::caller());
        let id = state.add("a", Kind::Background).expect("a new name");
        let ends = spawn(&state, move |state| state.set_ended(id, End::Ok));
        let by_run = usize::from(state.take_ended().is_some());
        let by_drop = state.set_phase(Phase::Dropped).len();
        join(ends);
        assert!(by_run + by_drop <= 1);
        assert!(state.take_ended().is_none(), "the task has logged it");
        assert!(state.has_ended(id));
    });
}
