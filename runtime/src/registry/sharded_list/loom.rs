use std::sync::{Arc, Weak};

use loom::thread;

use crate::registry::sharded_list::ShardedList;
use crate::sync::{join, model};

fn weak(one: &Arc<u8>) -> Weak<u8> {
    Arc::downgrade(one)
}

/// Invariants 1 and 2.
#[test]
fn an_entry_is_found_and_removes_only_itself() {
    model(Some(3), || {
        let list: &'static ShardedList<u8> = Box::leak(Box::new(ShardedList::new()));
        let comes_and_goes = |one: u8| {
            move || {
                let one = Arc::new(one);
                let registration = list.register(weak(&one));
                assert!(list.all().contains(&one), "{one} is listed");
                drop(registration);
                assert!(!list.all().contains(&one), "{one} has left");
            }
        };
        let stays = Arc::new(0);
        let others = [1, 2].map(|one| thread::spawn(comes_and_goes(one)));
        let _registration = list.register(weak(&stays));
        assert!(list.all().contains(&stays));
        others.into_iter().for_each(join);
        assert_eq!(list.all(), [stays]);
    });
}
