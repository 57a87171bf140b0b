use tokio_supervised::{CancellationToken, Services, TaskError, supervised};

struct ServeError;

impl From<TaskError> for ServeError {
    fn from(_: TaskError) -> Self {
        Self
    }
}

#[supervised]
async fn serve() -> Result<(), ServeError> {
    Ok(())
}

fn main() {
    let token = CancellationToken::new();
    _ = Services::new(&token).service("http", |token| serve(token));
}
