//! The token that a thread looks at again and again: runs that are awaited in a loop are lent the same one.
//!
//! To ask a token takes its lock, which all threads that are lent it would fight for. A thread that has asked the
//! same one many times in a row has an alarm of its own for it, and asks that.
//!
//! Invariant: an answer is that of the token itself, or of an alarm for it, which has rung before `cancel`
//! returns. Where a token lies is only a hint that it is the same one.

use std::{cell::RefCell, sync::Weak};

use tokio_util::sync::CancellationToken;

use super::{Alarm, Wakes};

/// So many times in a row are a loop: an alarm costs as much as a dozen looks.
const A_LOOP: u32 = 64;

struct Watched {
    place: usize,
    looks: u32,
    alarm: Option<Alarm>,
}

thread_local! {
    static WATCHED: RefCell<Watched> =
        const { RefCell::new(Watched { place: 0, looks: 0, alarm: None }) };
}

/// It is asked where it is heard, and wakes nobody.
struct Nobody;

impl Wakes for Nobody {
    fn wake_tasks(&self) {}
}

#[inline]
pub(super) fn has_fired(token: &CancellationToken) -> bool {
    let known = WATCHED.try_with(|watched| {
        let watched = watched.try_borrow().ok()?;
        watched.alarm.as_ref().filter(|alarm| alarm.is_for(token)).map(Alarm::has_rung)
    });
    match known {
        Ok(Some(has_rung)) => has_rung,
        _ => look(token),
    }
}

/// Asks the token, and gets an alarm for it where that pays.
fn look(token: &CancellationToken) -> bool {
    let place = std::ptr::from_ref(token).addr();
    let before = WATCHED.try_with(|watched| {
        let mut watched = watched.try_borrow_mut().ok()?;
        let looks = if watched.place == place { watched.looks + 1 } else { 1 };
        (watched.place, watched.looks) = (place, looks % A_LOOP);
        let another = || Alarm::new(token, Weak::<Nobody>::new());
        if looks == A_LOOP { watched.alarm.replace(another()) } else { None }
    });
    // The last handle on a token may be in it.
    drop(before);
    token.is_cancelled()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_watched(token: &CancellationToken) -> bool {
        WATCHED
            .with_borrow(|watched| watched.alarm.as_ref().is_some_and(|alarm| alarm.is_for(token)))
    }

    #[test]
    fn a_token_that_is_asked_in_a_loop_is_watched_and_tells_at_once_that_it_has_fired() {
        let token = CancellationToken::new();
        (0..A_LOOP).for_each(|_| assert!(!has_fired(&token)));
        assert!(is_watched(&token));
        assert!(!has_fired(&token));
        token.cancel();
        assert!(has_fired(&token));
    }

    #[test]
    fn a_child_is_told_of_its_parent() {
        let parent = CancellationToken::new();
        let token = parent.child_token();
        (0..2 * A_LOOP).for_each(|_| assert!(!has_fired(&token)));
        parent.cancel();
        assert!(has_fired(&token));
    }

    #[test]
    fn tokens_that_take_turns_are_asked_themselves() {
        let tokens = [CancellationToken::new(), CancellationToken::new()];
        for _ in 0..2 * A_LOOP {
            assert!(!tokens.iter().any(has_fired));
        }
        assert!(!tokens.iter().any(is_watched));
        tokens[0].cancel();
        assert_eq!(tokens.each_ref().map(has_fired), [true, false]);
    }

    #[test]
    fn another_token_in_the_same_place_is_another_token() {
        let mut token = CancellationToken::new();
        (0..2 * A_LOOP).for_each(|_| assert!(!has_fired(&token)));
        token.cancel();
        token = CancellationToken::new();
        assert!(!has_fired(&token));
        (0..2 * A_LOOP).for_each(|_| assert!(!has_fired(&token)));
        token.cancel();
        assert!(has_fired(&token));
    }

    #[test]
    fn a_thread_that_has_ended_watches_nothing() {
        let (token, asked) = (CancellationToken::new(), CancellationToken::new());
        let clone = token.clone();
        std::thread::spawn(move || (0..2 * A_LOOP).for_each(|_| assert!(!has_fired(&clone))))
            .join()
            .unwrap();
        (0..2 * A_LOOP).for_each(|_| assert!(!has_fired(&asked)));
        token.cancel();
        assert!(!has_fired(&asked) && has_fired(&token));
    }
}
