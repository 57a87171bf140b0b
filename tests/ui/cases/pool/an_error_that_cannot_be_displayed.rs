use tokio_supervised::{Pool, TaskError, supervised};

struct Silent;

impl From<TaskError> for Silent {
    fn from(_: TaskError) -> Self {
        Silent
    }
}

#[supervised]
async fn save() -> Result<(), Silent> {
    Ok(())
}

async fn spawns(pool: &Pool) {
    let _ = pool.spawn(save).await;
}

fn main() {
    let _ = spawns;
}
