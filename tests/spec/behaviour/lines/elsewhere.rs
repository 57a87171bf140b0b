//! A function in another file, which polls a future that its caller has made.

use std::future::Future;

use tokio_supervised::{TaskError, supervised};

#[supervised(name = "polls a block")]
pub(super) async fn polls<F>(future: F) -> Result<(), TaskError>
where
    F: Future<Output = Result<(), TaskError>>,
{
    future.await
}
