use tokio_supervised::{CancellationToken, Services};

async fn serve(_token: CancellationToken) -> anyhow::Result<()> {
    Ok(())
}

fn main() {
    let token = CancellationToken::new();
    _ = Services::new(&token).service("http", |token| serve(token));
}
