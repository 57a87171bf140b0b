//! `task!`.

use std::convert::identity;

use tokio_supervised::{CancellationToken, TaskError};

/// Makes them.
pub fn makes(url: String, names: Vec<String>) {
    drop::<Option<TaskError>>(None);
    let token = 1;
    let waits = identity(tokio_supervised::task!("waits", |token: CancellationToken| async move {
        token.cancelled().await;
        let token = 2;
        let unused = 1;
        return Ok::<(), TaskError>(());
    }));
    drop(waits);
    drop(token);
    let never = identity(tokio_supervised::task!("never", move |_token: CancellationToken| async move {
        let url = url;
        let _nothing = 1 + 1;
        _token.cancelled().await;
        Ok::<usize, TaskError>(url.len())
    }));
    drop(never);
    let typed = identity(tokio_supervised::task!("typed", |token: CancellationToken| -> Result<(), TaskError> {
        token.cancelled().await;
        let names = (names);
        let mut never_changed = names.len();
        let x: Option<u32> = None;
        x.unwrap();
        return Ok::<(), TaskError>(());
    }));
    drop(typed);
    let typed = identity(tokio_supervised::task!("typed", limit = 4, move |_: CancellationToken, (left, mut right): (u32, u32), _name: String| -> Result<(), TaskError> {
        std::future::ready(()).await;
        let left = left;
        println!("{}", left);
        Ok::<(), TaskError>(())
    }));
    drop(typed);
}
