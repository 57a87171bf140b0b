//! A program.
#![deny(missing_docs)]

use tokio_supervised::supervised;

#[supervised(limit = 16)]
pub async fn undocumented() {}

/// Documented.
#[supervised(limit = 16)]
pub async fn documented() {}

fn main() {}
