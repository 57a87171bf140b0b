//! A check of ThreadSanitizer itself: threads that share data correctly and, with an argument, a race. Compiled
//! separately by `.ci/sanitizers`.

use std::{
    sync::{Arc, Barrier, Mutex, OnceLock},
    thread,
};

static ONCE: OnceLock<Vec<u64>> = OnceLock::new();
static mut SHARED: u64 = 0;

fn main() {
    let races = std::env::args().nth(1).is_some();
    let together = Arc::new(Barrier::new(4));
    let locked = Arc::new(Mutex::new(vec![0]));
    let threads: Vec<_> = (0..4)
        .map(|number| {
            let (locked, together) = (locked.clone(), together.clone());
            thread::spawn(move || {
                together.wait();
                let first = ONCE.get_or_init(|| vec![number])[0];
                for round in 0..10_000 {
                    if races {
                        // SAFETY: none; this is the race to be found.
                        unsafe { SHARED += 1 };
                    }
                    let mut locked = locked.lock().unwrap();
                    let sum = locked[0] + first;
                    if round % 100 == 0 { *locked = vec![sum] } else { locked[0] = sum }
                }
            })
        })
        .collect();
    drop(locked);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    // SAFETY: the threads have ended.
    println!("{}", unsafe { SHARED });
}
