//! How the operations of a small history can lie to one another.

/// Every way in which `n` intervals, in the order of their beginnings, can lie to one another.
pub fn intervals(n: usize) -> Vec<Vec<(u32, u32)>> {
    fn place(free: &[u32], made: &mut Vec<(u32, u32)>, all: &mut Vec<Vec<(u32, u32)>>) {
        let Some((&inv, rest)) = free.split_first() else {
            all.push(made.clone());
            return;
        };
        for at in 0..rest.len() {
            let mut left = rest.to_vec();
            let res = left.remove(at);
            made.push((inv, res));
            place(&left, made, all);
            made.pop();
        }
    }
    let mut all = Vec::new();
    place(&(1..=2 * n as u32).collect::<Vec<_>>(), &mut Vec::new(), &mut all);
    all
}
