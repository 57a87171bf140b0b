//! A group reports what happened, and nothing else.
