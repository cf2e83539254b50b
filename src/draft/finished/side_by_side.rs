//! Processes long lists on several processors.

use std::num::NonZero;
use std::thread;

/// Fewer items than this take less time than starting a thread.
const WORTH_A_THREAD: usize = 64;

/// Splits `all` into consecutive parts, runs `work` on them in parallel, and returns the results in order.
pub(super) fn side_by_side<T: Sync, R: Send>(all: &[T], work: impl Fn(&[T]) -> R + Sync) -> Vec<R> {
    let most = all.len() / WORTH_A_THREAD;
    let count = match most {
        0 | 1 => 1,
        most => thread::available_parallelism()
            .map_or(1, NonZero::get)
            .min(most),
    };
    if count == 1 {
        return vec![work(all)];
    }
    let mut parts = all.chunks(all.len().div_ceil(count));
    let here = parts.next().unwrap_or_default();
    let work = &work;
    thread::scope(|scope| {
        let others: Vec<_> = parts.map(|part| scope.spawn(move || work(part))).collect();
        let mut done = vec![work(here)];
        for other in others {
            match other.join() {
                Ok(result) => done.push(result),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_complete_and_in_order() {
        for count in [0, 1, 63, 64, 128, 1000, 1001] {
            let all: Vec<usize> = (0..count).collect();
            let parts = side_by_side(&all, <[usize]>::to_vec);
            assert_eq!(parts.concat(), all);
            assert!(!parts.is_empty());
        }
    }

    #[test]
    #[should_panic(expected = "at 900")]
    fn a_panic_is_passed_on() {
        let all: Vec<usize> = (0..1000).collect();
        side_by_side(&all, |part| assert!(!part.contains(&900), "at 900"));
    }
}
