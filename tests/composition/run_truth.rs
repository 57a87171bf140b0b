//! A run reports its own causes, states and counts.
