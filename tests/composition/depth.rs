//! Recursion and large bodies fit into the stack of a worker.
