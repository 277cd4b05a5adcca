//! Which change is made in this process.
#![allow(missing_docs)]
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
const UNREAD: u32 = u32::MAX;
const COVER: u32 = u32::MAX - 1;
static ACTIVE: AtomicU32 = AtomicU32::new(UNREAD);
static SEEN: [AtomicBool; 8192] = [const { AtomicBool::new(false) }; 8192];
#[inline(always)]
pub fn chosen(first: u32, count: u32) -> u32 {
    let active = ACTIVE.load(Relaxed);
    if active >= COVER { slow(first, count) } else { active }
}
#[cold]
#[inline(never)]
fn slow(first: u32, count: u32) -> u32 {
    if ACTIVE.load(Relaxed) == UNREAD {
        let active = match std::env::var("MUTANT") {
            Ok(n) => n.parse().unwrap_or(0),
            Err(_) if std::env::var_os("MUTANT_COVER").is_some() => COVER,
            Err(_) => 0,
        };
        ACTIVE.store(active, Relaxed);
        return chosen(first, count);
    }
    if !SEEN[first as usize].swap(true, Relaxed) {
        let path = std::env::var_os("MUTANT_COVER").unwrap_or_default();
        if let Ok(mut file) = std::fs::OpenOptions::new().append(true).create(true).open(path) {
            let _ = file.write_all(format!("{first} {count}\n").as_bytes());
        }
    }
    0
}
