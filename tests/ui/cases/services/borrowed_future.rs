use tokio_supervised::{CancellationToken, Services, TaskError, supervised};

#[supervised]
async fn serve(name: &str) -> Result<(), TaskError> {
    let _ = name;
    Ok(())
}

fn main() {
    let token = CancellationToken::new();
    let name = String::from("http");
    _ = Services::new(&token).service("http", |token| serve(token, &name));
}
