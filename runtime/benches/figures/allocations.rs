//! How often this thread has allocated, and how many bytes the process holds.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use crate::bytes;

/// Counts in a thread-local, so that it costs the contenders with many threads and many allocations
/// next to nothing; bytes are counted only while they are watched.
struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    // A thread that is ending may have no place left.
    _ = COUNT.try_with(|count| count.set(count.get() + 1));
}

fn grown(block: *mut u8, by: usize) -> *mut u8 {
    count();
    if !block.is_null() {
        bytes::grown(by);
    }
    block
}

// SAFETY: everything is handed on to the system's allocator as it came. Counting does not allocate: the
// thread-local is initialised by a constant and has no destructor, and the bytes are atomics.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are handed on.
        grown(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are handed on.
        grown(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promises are handed on.
        let moved = unsafe { System.realloc(block, layout, size) };
        if !moved.is_null() {
            bytes::shrunk(layout.size());
        }
        grown(moved, size)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        bytes::shrunk(layout.size());
        // SAFETY: the caller's promises are handed on.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

pub(crate) fn of_this_thread() -> usize {
    COUNT.get()
}
