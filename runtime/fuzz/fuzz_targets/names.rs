//! Arbitrary names and messages in all exported and displayed text: the output of each writer is read back.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tokio_supervised::ops::read_back;

fuzz_target!(|given: &str| {
    // SAFETY: what `check` makes of it is dropped before it returns, and the input outlives the call.
    let given = unsafe { std::mem::transmute::<&str, &'static str>(given) };
    read_back::check(given);
});
