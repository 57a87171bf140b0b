//! Collects results in the order of their items, although the items finish in any order.
//!
//! Invariants
//!
//! 1. `ahead` is empty, or starts at the first item without a result. A result that arrives in order is pushed to
//!    `in_order`; only results of later items wait in `ahead`. Otherwise the buffer would grow with the input, not with
//!    the longest run of early results: `results_in_order_are_not_buffered`.
//! 2. Zero-sized values of a collection are only counted: `zero_sized_values_need_no_memory`. Those of a stream are not:
//!    each is returned when its own item has finished, not another one: `a_queue_returns_results_in_order`.
//! 3. A place that is skipped costs nothing once the places before it are taken: `skipped_places_need_no_memory`.

use std::{collections::VecDeque, iter};

/// `Q` keeps the results that are in order: a `Vec`, or a [`Queue`].
pub(crate) struct ReorderBuffer<T, Q = Vec<T>> {
    /// The number of reserved places.
    reserved: usize,
    in_order: Q,
    /// How many places before `ahead` have no result.
    skipped: usize,
    ahead: VecDeque<Place<T>>,
}

enum Place<T> {
    Empty,
    Skipped,
    Result(T),
}

impl<T> Place<T> {
    fn into_result(self) -> Option<T> {
        match self {
            Self::Result(result) => Some(result),
            Self::Empty | Self::Skipped => None,
        }
    }
}

/// The results that are in order.
pub(crate) trait InOrder<T>: Default {
    /// Whether values without a size may be stored in any order, since they are returned together.
    const COUNTS_ZERO_SIZED: bool;

    /// The place whose result is pushed next.
    fn next_place(&self) -> usize;

    fn push(&mut self, result: T);
}

impl<T> InOrder<T> for Vec<T> {
    const COUNTS_ZERO_SIZED: bool = true;

    #[inline]
    fn next_place(&self) -> usize {
        self.len()
    }

    #[inline]
    fn push(&mut self, result: T) {
        self.push(result);
    }
}

/// Results that are returned one by one.
pub(crate) struct Queue<T> {
    pushed: usize,
    results: VecDeque<T>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { pushed: 0, results: VecDeque::new() }
    }
}

impl<T> Queue<T> {
    pub(crate) fn pop(&mut self) -> Option<T> {
        self.results.pop_front()
    }

    pub(crate) fn len(&self) -> usize {
        self.results.len()
    }
}

impl<T> InOrder<T> for Queue<T> {
    const COUNTS_ZERO_SIZED: bool = false;

    fn next_place(&self) -> usize {
        self.pushed
    }

    #[inline]
    fn push(&mut self, result: T) {
        self.pushed += 1;
        self.results.push_back(result);
    }
}

/// The place of an item's result.
#[derive(Clone, Copy)]
pub(crate) struct Index(usize);

impl Index {
    pub(crate) const fn new(index: usize) -> Self {
        Self(index)
    }
}

impl<T> ReorderBuffer<T> {
    pub(crate) const fn new() -> Self {
        Self { reserved: 0, in_order: Vec::new(), skipped: 0, ahead: VecDeque::new() }
    }

    /// Takes the stored results, in the order of their places.
    pub(crate) fn take(&mut self) -> Vec<T> {
        let mut all = std::mem::take(&mut self.in_order);
        all.extend(std::mem::take(&mut self.ahead).into_iter().filter_map(Place::into_result));
        all
    }
}

impl<T> ReorderBuffer<T, Queue<T>> {
    pub(crate) fn has_next(&self) -> bool {
        self.in_order.len() > 0
    }

    /// Takes the next result in order. With `skips`, places without a result are skipped: they get none any more.
    pub(crate) fn pop(&mut self, skips: bool) -> Option<T> {
        let next = self.in_order.pop();
        if next.is_some() || !skips {
            return next;
        }
        let ahead = self.ahead.drain(..).filter_map(Place::into_result);
        ahead.for_each(|result| self.in_order.push(result));
        self.in_order.pop()
    }
}

impl<T, Q: Default> Default for ReorderBuffer<T, Q> {
    fn default() -> Self {
        Self { reserved: 0, in_order: Q::default(), skipped: 0, ahead: VecDeque::new() }
    }
}

impl<T, Q: InOrder<T>> ReorderBuffer<T, Q> {
    /// The largest capacity of `ahead` that is kept once it is empty. One slow item can make it larger.
    const MAX_SPARE: usize = 1_024;

    /// Returns the number of reserved places.
    pub(crate) fn reserved(&self) -> usize {
        self.reserved
    }

    /// Reserves the next place.
    pub(crate) fn reserve(&mut self) -> Index {
        self.reserved += 1;
        Index(self.reserved - 1)
    }

    /// Stores the result of a place. Called at most once for each place.
    #[inline]
    pub(crate) fn put(&mut self, index: Index, result: T) {
        // Zero-sized values are all alike. In `ahead` each would cost a byte for as long as a slow item runs.
        let is_counted = Q::COUNTS_ZERO_SIZED && size_of::<T>() == 0;
        if is_counted || (self.is_next(index) && self.ahead.is_empty()) {
            self.in_order.push(result);
        } else {
            self.put_ahead(index, Place::Result(result));
        }
    }

    /// Marks a place that gets no result.
    pub(crate) fn skip(&mut self, index: Index) {
        // The places of zero-sized values are not distinguished.
        if Q::COUNTS_ZERO_SIZED && size_of::<T>() == 0 {
            return;
        }
        if self.is_next(index) && self.ahead.is_empty() {
            self.skipped += 1;
        } else {
            self.put_ahead(index, Place::Skipped);
        }
    }

    fn is_next(&self, Index(index): Index) -> bool {
        index == self.in_order.next_place() + self.skipped
    }

    fn put_ahead(&mut self, Index(index): Index, result: Place<T>) {
        let at = index - self.in_order.next_place() - self.skipped;
        match self.ahead.get_mut(at) {
            Some(place) => *place = result,
            None => {
                let missing = at - self.ahead.len();
                self.ahead.extend(iter::repeat_with(|| Place::Empty).take(missing));
                self.ahead.push_back(result);
            }
        }
        if at == 0 {
            while let Some(Place::Result(_) | Place::Skipped) = self.ahead.front() {
                match self.ahead.pop_front() {
                    Some(Place::Result(result)) => self.in_order.push(result),
                    _ => self.skipped += 1,
                }
            }
            if self.ahead.is_empty() && self.ahead.capacity() > Self::MAX_SPARE {
                self.ahead = VecDeque::new();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permutations(of: Vec<usize>) -> Vec<Vec<usize>> {
        if of.is_empty() {
            return vec![Vec::new()];
        }
        let mut orders = Vec::new();
        for first in &of {
            let rest = of.iter().copied().filter(|other| other != first).collect();
            for mut order in permutations(rest) {
                order.insert(0, *first);
                orders.push(order);
            }
        }
        orders
    }

    #[test]
    fn results_keep_the_order_of_their_items() {
        for order in permutations((0..6).collect()) {
            let mut buffer = ReorderBuffer::new();
            let places: Vec<_> = (0..6).map(|_| buffer.reserve()).collect();
            order.iter().for_each(|at| buffer.put(places[*at], *at));
            assert_eq!(buffer.take(), [0, 1, 2, 3, 4, 5], "{order:?}");
        }
    }

    #[test]
    fn results_in_order_are_not_buffered() {
        let mut buffer = ReorderBuffer::new();
        for n in 0..1_000 {
            let (first, second) = (buffer.reserve(), buffer.reserve());
            buffer.put(second, 2 * n + 1);
            buffer.put(first, 2 * n);
            assert!(buffer.ahead.is_empty());
        }
        assert!(buffer.ahead.capacity() < 8, "its length is the longest run of early results");
        assert_eq!(buffer.take(), (0..2_000).collect::<Vec<_>>());
    }

    #[test]
    fn a_slow_item_leaves_no_large_buffer() {
        let mut buffer = ReorderBuffer::new();
        let slow = buffer.reserve();
        for n in 1..100_000 {
            let place = buffer.reserve();
            buffer.put(place, n);
        }
        buffer.put(slow, 0);
        assert!(buffer.ahead.capacity() <= ReorderBuffer::<usize, Vec<usize>>::MAX_SPARE);
        assert!(buffer.take().into_iter().eq(0..100_000));
    }

    #[test]
    fn skipped_places_need_no_memory() {
        let mut buffer = ReorderBuffer::new();
        let slow = buffer.reserve();
        for n in 1..100_000 {
            let place = buffer.reserve();
            if n % 2 == 0 {
                buffer.put(place, n);
            } else {
                buffer.skip(place);
            }
        }
        buffer.skip(slow);
        assert!(buffer.ahead.capacity() <= ReorderBuffer::<usize>::MAX_SPARE);
        for _ in 0..100_000 {
            let place = buffer.reserve();
            buffer.skip(place);
            assert!(buffer.ahead.is_empty());
        }
        let last = buffer.reserve();
        buffer.put(last, 1);
        assert!(buffer.take().into_iter().eq((2..100_000).step_by(2).chain([1])));
    }

    #[test]
    fn results_keep_their_order_around_skipped_places() {
        for order in permutations((0..5).collect()) {
            let mut buffer = ReorderBuffer::new();
            let places: Vec<_> = (0..5).map(|_| buffer.reserve()).collect();
            for at in &order {
                match at % 2 {
                    0 => buffer.skip(places[*at]),
                    _ => buffer.put(places[*at], *at),
                }
            }
            assert_eq!(buffer.take(), [1, 3], "{order:?}");
        }
    }

    #[test]
    fn zero_sized_values_need_no_memory() {
        let mut buffer = ReorderBuffer::new();
        let _slow = buffer.reserve();
        for _ in 0..1_000 {
            let place = buffer.reserve();
            buffer.put(place, ());
        }
        assert_eq!((buffer.ahead.capacity(), buffer.take().len()), (0, 1_000));
    }

    #[test]
    fn an_index_without_a_result_is_skipped() {
        let mut buffer = ReorderBuffer::new();
        let places: Vec<_> = (0..4).map(|_| buffer.reserve()).collect();
        buffer.put(places[3], 'd');
        buffer.put(places[1], 'b');
        assert_eq!((buffer.reserved(), buffer.take()), (4, vec!['b', 'd']));
    }

    #[test]
    fn a_queue_returns_results_in_order() {
        for order in permutations((0..5).collect()) {
            let mut buffer = ReorderBuffer::<_, Queue<_>>::default();
            let places: Vec<_> = (0..5).map(|_| buffer.reserve()).collect();
            let (mut next, mut stored) = (0, [false; 5]);
            for at in &order {
                buffer.put(places[*at], *at);
                stored[*at] = true;
                while let Some(result) = buffer.pop(false) {
                    assert_eq!(result, next, "{order:?}");
                    next += 1;
                }
                assert!(!stored.get(next).is_some_and(|stored| *stored), "{order:?}");
            }
            assert_eq!(next, 5);
        }
        let mut buffer = ReorderBuffer::<_, Queue<_>>::default();
        let [_, later] = [(); 2].map(|()| buffer.reserve());
        buffer.put(later, ());
        assert_eq!((buffer.has_next(), buffer.pop(false)), (false, None), "the first has none yet");
    }

    #[test]
    fn a_queue_skips_places_without_a_result_at_the_end() {
        let mut buffer = ReorderBuffer::<_, Queue<_>>::default();
        let places: Vec<_> = (0..5).map(|_| buffer.reserve()).collect();
        buffer.put(places[4], 'e');
        buffer.put(places[1], 'b');
        assert_eq!(buffer.pop(false), None);
        assert_eq!([(); 3].map(|()| buffer.pop(true)), [Some('b'), Some('e'), None]);
    }
}
