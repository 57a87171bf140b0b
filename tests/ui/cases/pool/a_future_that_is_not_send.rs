use std::rc::Rc;

use tokio_supervised::{Pool, TaskError, supervised};

#[supervised]
async fn count(words: Rc<str>) -> Result<(), TaskError> {
    tokio::task::yield_now().await;
    drop(words);
    Ok(())
}

async fn spawns(pool: &Pool) {
    let _ = pool.spawn(|token| count(token, "two words".into())).await;
}

fn main() {
    let _ = spawns;
}
