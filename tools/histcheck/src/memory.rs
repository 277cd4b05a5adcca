//! How much memory the whole program holds, counted as it is taken and given back. So a budget is kept whatever takes
//! it: no engine can forget to count what it holds.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The system's allocator, with a count.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);

/// Bytes on the heap of this process, with what the allocator takes for itself.
#[inline]
pub fn held() -> usize {
    HELD.load(Ordering::Relaxed)
}

/// What a piece takes, as glibc has it: a word beside it, and sixteen bytes at a time.
#[inline]
fn taken(size: usize) -> usize {
    (size + 23) & !15
}

fn count(size: usize) {
    HELD.fetch_add(taken(size), Ordering::Relaxed);
}

fn discount(size: usize) {
    HELD.fetch_sub(taken(size), Ordering::Relaxed);
}

// SAFETY: each call goes to the system's allocator as it came; the count beside it is no part of what is promised.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the promises of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        discount(layout.size());
        // SAFETY: the caller keeps the promises of `dealloc`; the piece is one of the system's.
        unsafe { System.dealloc(piece, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the promises of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        discount(layout.size());
        // SAFETY: the caller keeps the promises of `realloc`; the piece is one of the system's.
        unsafe { System.realloc(piece, layout, size) }
    }
}
