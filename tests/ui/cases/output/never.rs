use tokio_supervised::supervised;

#[supervised]
async fn forever() -> ! {
    loop {
        std::future::pending::<()>().await;
    }
}

fn main() {}
