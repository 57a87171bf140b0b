//! What the crate promises, one behaviour a test.

mod smoke;
