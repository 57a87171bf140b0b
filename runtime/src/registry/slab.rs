//! A list whose entries have stable keys. Keys of removed entries are reused.
//!
//! Invariants, checked by the tests below
//!
//! 1. The entries are contiguous: a walk costs as much as there are entries now, not as there once were.
//! 2. `slots[key]` is the index of the entry with that key, or else the next free key. Otherwise a key would lead to
//!    another entry.
//! 3. Beyond `KEPT` entries, memory shrinks with the entries; a key takes a word until the list is empty.

pub(crate) struct Slab<T> {
    entries: Vec<SlabEntry<T>>,
    slots: Vec<usize>,
    /// The first free key; the next new one if none is free.
    free: usize,
}

struct SlabEntry<T> {
    key: usize,
    value: T,
}

/// The key of an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key(usize);

impl<T> Slab<T> {
    const KEPT: usize = 1_024;

    pub(crate) const fn new() -> Self {
        Self { entries: Vec::new(), slots: Vec::new(), free: 0 }
    }

    #[inline]
    pub(crate) fn insert(&mut self, value: T) -> Key {
        let (key, place) = (self.free, self.entries.len());
        match self.slots.get_mut(key) {
            Some(slot) => self.free = std::mem::replace(slot, place),
            None => {
                self.slots.push(place);
                self.free += 1;
            }
        }
        self.entries.push(SlabEntry { key, value });
        Key(key)
    }

    #[inline]
    pub(crate) fn remove(&mut self, Key(key): Key) -> Option<T> {
        let place = *self.slots.get(key)?;
        if self.entries.get(place).is_none_or(|entry| entry.key != key) {
            return None;
        }
        let SlabEntry { value, .. } = self.entries.swap_remove(place);
        if let Some(moved) = self.entries.get(place) {
            self.slots[moved.key] = place;
        }
        self.slots[key] = std::mem::replace(&mut self.free, key);
        let room = self.entries.capacity();
        if room > Self::KEPT && self.entries.len() < room / 4 {
            self.shrink(room / 2);
        }
        Some(value)
    }

    #[cold]
    fn shrink(&mut self, room: usize) {
        if self.entries.is_empty() {
            *self = Self::new();
        } else {
            self.entries.shrink_to(room);
        }
    }

    /// Replaces an entry and returns the previous one.
    pub(crate) fn replace(&mut self, Key(key): Key, value: T) -> Option<T> {
        let place = *self.slots.get(key)?;
        let entry = self.entries.get_mut(place).filter(|entry| entry.key == key)?;
        Some(std::mem::replace(&mut entry.value, value))
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().map(|entry| &entry.value)
    }
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(supervised_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_key_refers_to_its_entry_until_it_is_removed() {
        let mut slab = Slab::new();
        let mut keys: Vec<_> = (0..100).map(|n| (slab.insert(n), n)).collect();
        // Half of them are removed, in a scattered order, and new ones reuse their keys.
        for round in 0..10 {
            for at in (0..50).rev() {
                let (key, n) = keys.remove((at * 7 + round) % keys.len());
                assert_eq!((slab.remove(key), slab.remove(key)), (Some(n), None));
            }
            let next = 100 * (round + 1);
            keys.extend((next..next + 50).map(|n| (slab.insert(n), n)));
            assert_eq!((slab.len(), slab.slots.len()), (100, 100));
        }
        let mut left: Vec<_> = slab.iter().copied().collect();
        let mut of_keys: Vec<_> = keys.iter().map(|(_, n)| *n).collect();
        left.sort_unstable();
        of_keys.sort_unstable();
        assert_eq!(left, of_keys);
    }

    #[test]
    fn removed_entries_cost_neither_a_walk_nor_memory() {
        let mut slab = Slab::new();
        let keys: Vec<_> = (0..100_000).map(|n| slab.insert(n)).collect();
        let (last, others) = keys.split_last().expect("there are some");
        for key in others {
            slab.remove(*key);
        }
        assert!(slab.entries.len() == 1 && slab.entries.capacity() <= 2 * Slab::<usize>::KEPT);
        assert_eq!(slab.remove(*last), Some(99_999));
        assert!(slab.entries.capacity() <= Slab::<usize>::KEPT);
    }
}
