//! A task cannot cancel its siblings by the token that it was given.
