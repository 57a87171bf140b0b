//! A wait for two resources is admitted in bounded time.
