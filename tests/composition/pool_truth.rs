//! A pool, its drains and main report what happened, and nothing else.
