//! Numbers that look random and come again with their seed.

/// xorshift64*: a test needs no better, and no crate. The seed is any number but 0.
#[derive(Debug)]
pub struct Random(pub u64);

impl Random {
    /// A number below `n`.
    pub fn below(&mut self, n: u32) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as u32) % n
    }

    /// The place of one of `count` things.
    pub fn index(&mut self, count: usize) -> usize {
        self.below(count as u32) as usize
    }
}
