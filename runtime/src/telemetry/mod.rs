//! Events and spans for `tracing`.

pub(crate) mod events;
pub(crate) mod flush;
pub(crate) mod span;
