//! No user code runs under a lock.
