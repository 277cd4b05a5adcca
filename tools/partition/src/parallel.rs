//! The same work in many networks at once: nft mostly waits for the kernel, and a host over ssh is far.

/// Does `work` for each at once, a thread each; one alone needs none.
pub fn all<T: Send, R: Send>(each: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    if each.len() <= 1 {
        return each.into_iter().map(work).collect();
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> = each.into_iter().map(|one| scope.spawn(|| work(one))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}
