use loom::thread;

use crate::function::{Policy, TaskSpec};
use crate::{
    function::metrics::threads::release_place,
    sync::{join, model},
};

/// Returns a new function for each run of a model.
pub(crate) fn spec(policy: Policy) -> &'static TaskSpec {
    Box::leak(Box::new(TaskSpec::new("model", policy)))
}

/// Invariant 1.
#[test]
fn a_function_is_registered_once_before_its_first_count() {
    // The third thread has its share in another box, and registers all the same.
    model(Some(3), || {
        let spec = spec(Policy::DEFAULT);
        let runs = move || {
            spec.local_metrics().record_start();
            let listed = TaskSpec::all().iter().filter(|other| std::ptr::eq(**other, spec)).count();
            assert_eq!(listed, 1);
        };
        let others = [(); 2].map(|()| {
            thread::spawn(move || {
                runs();
                release_place();
            })
        });
        runs();
        others.into_iter().for_each(join);
        release_place();
    });
}
