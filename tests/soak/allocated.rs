//! How many bytes are allocated. Resident memory would include what the allocator keeps for later.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

/// The system's allocator with a counter.
struct Counting;

/// A single counter would be a cache line that all threads write.
const SHARDS: usize = 16;

#[repr(align(128))]
struct Shard(AtomicUsize);

static LIVE: [Shard; SHARDS] = [const { Shard(AtomicUsize::new(0)) }; SHARDS];

thread_local! {
    static MARK: u8 = const { 0 };
}

/// The shard of this thread, by the address of a thread-local.
fn shard() -> &'static AtomicUsize {
    let at = MARK.with(|mark| std::ptr::from_ref(mark).addr());
    &LIVE[(at >> 12) % SHARDS].0
}

// SAFETY: every call is passed to the system's allocator unchanged; the counting allocates nothing.
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

/// A shard whose thread frees allocations of others is negative: only the sum counts.
pub(crate) fn bytes() -> usize {
    LIVE.iter().map(|shard| shard.0.load(Relaxed)).fold(0, usize::wrapping_add)
}
