//! How much memory the whole program holds, counted as it is taken and given back. So a budget is kept whatever takes
//! it: no engine can forget to count what it holds.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::last_words::{self, End};

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

/// What the program may hold beside what `--memory` is for: buffers, and what it is about to print.
pub const BESIDE: usize = 16 << 20;

/// What ends the process where more is held.
static MOST: AtomicUsize = AtomicUsize::new(usize::MAX);

/// The bound of [`bound`], which ends with it.
#[derive(Debug)]
pub struct Bound(());

/// While this is kept, the process ends where it holds clearly more than so many bytes, and [`last_words`] says so.
/// For what takes memory without a place to give up in: a value of which no end comes.
#[must_use]
pub fn bound(bytes: usize) -> Bound {
    let most = bytes.saturating_add(bytes / 8).saturating_add(2 * BESIDE);
    MOST.store(most, Ordering::Relaxed);
    Bound(())
}

impl Drop for Bound {
    fn drop(&mut self) {
        MOST.store(usize::MAX, Ordering::Relaxed);
    }
}

fn count(size: usize) {
    add(taken(size));
}

fn add(taken: usize) {
    let before = HELD.fetch_add(taken, Ordering::Relaxed);
    if before.saturating_add(taken) > MOST.load(Ordering::Relaxed) {
        last_words::end(End::Budget);
    }
}

/// A piece of memory, which the system refused where it is null.
fn given(piece: *mut u8) -> *mut u8 {
    if piece.is_null() {
        last_words::end(End::Refused);
    }
    piece
}

fn discount_to(size: usize, before: usize) {
    HELD.fetch_sub(taken(before) - taken(size), Ordering::Relaxed);
}

fn discount(size: usize) {
    HELD.fetch_sub(taken(size), Ordering::Relaxed);
}

// SAFETY: each call goes to the system's allocator as it came; the count beside it is no part of what is promised.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the promises of `alloc`.
        given(unsafe { System.alloc(layout) })
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        discount(layout.size());
        // SAFETY: the caller keeps the promises of `dealloc`; the piece is one of the system's.
        unsafe { System.dealloc(piece, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the promises of `alloc_zeroed`.
        given(unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // What is large is moved without a copy: it never takes both.
        match taken(size).checked_sub(taken(layout.size())) {
            Some(more) => add(more),
            None => discount_to(size, layout.size()),
        }
        // SAFETY: the caller keeps the promises of `realloc`; the piece is one of the system's.
        given(unsafe { System.realloc(piece, layout, size) })
    }
}
