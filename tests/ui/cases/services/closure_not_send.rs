use std::rc::Rc;

use tokio_supervised::{CancellationToken, Services, TaskError, supervised};

#[supervised]
async fn serve(port: u16) -> Result<(), TaskError> {
    let _ = port;
    Ok(())
}

fn main() {
    let token = CancellationToken::new();
    let port = Rc::new(80);
    _ = Services::new(&token).service("http", move |token| serve(token, *port));
}
