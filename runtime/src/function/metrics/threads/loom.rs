use std::sync::Arc;

use loom::{cell::UnsafeCell, thread};

use crate::function::metrics::threads::{Place, acquire_place, release_place};
use crate::sync::{join, model};

/// Invariants 1 and 2.
#[test]
fn a_number_has_one_owner_that_sees_its_predecessor() {
    model(None, || {
        let shares: Arc<[_; 4]> = Arc::new(std::array::from_fn(|_| UnsafeCell::new(())));
        let lives = {
            let shares = shares.clone();
            move || {
                let place = acquire_place();
                assert_ne!(place, Place::SHARED);
                // Loom fails if two threads write at once, or if one does not see an earlier write.
                shares[place.number()].with_mut(|_| ());
                release_place();
            }
        };
        let others = [thread::spawn(lives.clone()), thread::spawn(lives.clone())];
        lives();
        others.into_iter().for_each(join);
    });
}
