//! Memory for packets: each is read into a piece of its own, and stays there while it is held.
//!
//! So a packet that is held costs no copy and no allocation: pieces are used again in the order in which they
//! were lent, which is the order in which most packets leave.

use std::collections::VecDeque;
use std::ops::{Deref, Range};
use std::rc::Rc;

/// The size of a piece: a packet of an ordinary link with what the kernel says of it.
pub const PIECE: usize = 4096;

/// What is shorter is copied when it is held, or small packets would hold as much memory as large ones.
const SHORT: usize = 1024;

/// How many pieces are kept for the next burst when nothing is held any more.
const SPARE: usize = 4096;

/// The bytes of a packet, and the piece of memory that they lie in. To clone it copies nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bytes {
    piece: Rc<Vec<u8>>,
    range: Range<usize>,
}

impl Bytes {
    /// The part `range` of `piece`, which keeps it from being used again.
    pub fn of(piece: &Rc<Vec<u8>>, range: Range<usize>) -> Bytes {
        match piece.get(range.clone()) {
            Some(bytes) if bytes.len() < SHORT => bytes.to_vec().into(),
            Some(_) => Bytes { piece: Rc::clone(piece), range },
            None => Vec::new().into(),
        }
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Bytes {
        let range = 0..bytes.len();
        Bytes { piece: Rc::new(bytes), range }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.piece.get(self.range.clone()).unwrap_or_default()
    }
}

/// The pieces that were lent, the oldest first.
#[derive(Debug, Default)]
pub struct Pool {
    lent: VecDeque<Rc<Vec<u8>>>,
}

impl Pool {
    /// A piece that nobody holds.
    pub fn piece(&mut self) -> Rc<Vec<u8>> {
        match self.lent.front() {
            Some(oldest) if Rc::strong_count(oldest) == 1 => self.lent.pop_front(),
            _ => None,
        }
        .unwrap_or_else(|| Rc::new(vec![0; PIECE]))
    }

    /// Takes a piece back that was not used.
    pub fn give_back(&mut self, piece: Rc<Vec<u8>>) {
        self.lent.push_front(piece);
    }

    /// Takes a piece to lend it again when the packet in it has left.
    pub fn take(&mut self, piece: Rc<Vec<u8>>) {
        if self.lent.len() > SPARE
            && self.lent.back().is_some_and(|last| Rc::strong_count(last) == 1)
        {
            self.lent.truncate(SPARE);
        }
        // One that was put together for a long packet is not like the others.
        if piece.len() == PIECE {
            self.lent.push_back(piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_lent_again_only_when_its_packet_has_left() {
        let mut pool = Pool::default();
        let piece = pool.piece();
        let first = Rc::as_ptr(&piece);
        let held = Bytes::of(&piece, 100..1600);
        pool.take(piece);
        let other = pool.piece();
        assert_ne!(Rc::as_ptr(&other), first, "a packet lies there");
        assert_eq!(held.len(), 1500);
        drop(held);
        assert_eq!(Rc::as_ptr(&pool.piece()), first);
    }

    #[test]
    fn a_short_packet_holds_no_piece() {
        let mut pool = Pool::default();
        let piece = pool.piece();
        let first = Rc::as_ptr(&piece);
        let held = Bytes::of(&piece, 100..184);
        pool.take(piece);
        assert_eq!((Rc::as_ptr(&pool.piece()), held.len()), (first, 84));
        assert!(Bytes::of(&held.piece, 0..5000).is_empty(), "there are not so many");
    }
}
