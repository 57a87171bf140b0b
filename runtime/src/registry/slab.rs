//! A list whose entries keep their places, and which takes the places of those that have left.

pub(crate) struct Slab<T> {
    entries: Vec<Option<T>>,
    free: Vec<usize>,
}

/// Where an entry stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key(usize);

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self { entries: Vec::new(), free: Vec::new() }
    }

    pub(crate) fn insert(&mut self, entry: T) -> Key {
        let entry = Some(entry);
        match self.free.pop() {
            Some(index) => {
                self.entries[index] = entry;
                Key(index)
            }
            None => {
                self.entries.push(entry);
                Key(self.entries.len() - 1)
            }
        }
    }

    pub(crate) fn remove(&mut self, Key(index): Key) -> Option<T> {
        let entry = self.entries[index].take();
        if entry.is_some() {
            self.free.push(index);
        }
        entry
    }

    /// Puts another entry in the place of one that is there; returns that.
    pub(crate) fn replace(&mut self, Key(index): Key, entry: T) -> Option<T> {
        self.entries[index].replace(entry)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().flatten()
    }
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self::new()
    }
}
