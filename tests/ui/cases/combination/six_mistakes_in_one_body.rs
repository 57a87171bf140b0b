use tokio_supervised::{CancellationToken, TaskError, supervised};

#[supervised]
async fn work(token: &CancellationToken) -> Result<(), TaskError> {
    tokio::spawn(async {});
    tokio::task::spawn_blocking(|| 1);
    std::thread::sleep(std::time::Duration::from_secs(1));
    tokio::runtime::Handle::current().block_on(async {});
    loop {
        std::hint::spin_loop();
    }
}

fn main() {}
