use tokio_supervised::Pool;

async fn spawns(pool: &Pool) {
    let _ = pool.try_spawn(|_| async {});
}

fn main() {
    let _ = spawns;
}
