//! The same work for many things at once.

use std::thread::{self, Builder, ScopedJoinHandle};

/// Does `work` for every item, a thread each, and gives all results in the items' order; an error where the work
/// panicked. What the system gives no thread for is done here, one after the other.
pub fn each<'a, T: Sync, R: Send>(
    items: &'a [T],
    work: impl Fn(&'a T) -> R + Sync,
) -> Vec<thread::Result<R>> {
    let work = &work;
    thread::scope(|scope| {
        let spawn = |item: &'a T| Builder::new().spawn_scoped(scope, move || work(item));
        let threads: Vec<std::io::Result<ScopedJoinHandle<'_, R>>> =
            items.iter().map(spawn).collect();
        let join = |(thread, item): (std::io::Result<ScopedJoinHandle<'_, R>>, &'a T)| match thread
        {
            Ok(thread) => thread.join(),
            Err(_) => Ok(work(item)),
        };
        threads.into_iter().zip(items).map(join).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order_and_a_panic_is_that_of_its_item() {
        let results = each(&[1, 2, 3], |&number| {
            assert_ne!(number, 2, "on purpose");
            10 * number
        });
        let results: Vec<Option<i32>> = results.into_iter().map(Result::ok).collect();
        assert_eq!(results, [Some(10), None, Some(30)]);
    }
}
