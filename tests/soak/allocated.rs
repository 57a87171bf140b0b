//! How many bytes are allocated. What is resident would also count what the allocator keeps for later.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

/// The system's allocator, counted.
struct Counting;

/// One count for all threads would be a cache line that all of them write.
const SHARDS: usize = 16;

#[repr(align(128))]
struct Shard(AtomicUsize);

static LIVE: [Shard; SHARDS] = [const { Shard(AtomicUsize::new(0)) }; SHARDS];

thread_local! {
    static MARK: u8 = const { 0 };
}

/// Where this thread counts. Threads differ in the addresses of their thread-locals.
fn shard() -> &'static AtomicUsize {
    let at = MARK.with(|mark| std::ptr::from_ref(mark).addr());
    &LIVE[(at >> 12) % SHARDS].0
}

// SAFETY: every call goes to the system's allocator unchanged; the counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        shard().fetch_add(layout.size(), Relaxed);
        // SAFETY: the caller's contract is that of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        shard().fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A shard whose thread frees what others have allocated is below zero: only the sum counts.
pub(crate) fn bytes() -> usize {
    LIVE.iter().map(|shard| shard.0.load(Relaxed)).fold(0, usize::wrapping_add)
}
