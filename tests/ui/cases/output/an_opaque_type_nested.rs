use tokio_supervised::supervised;

#[supervised]
async fn show() -> Option<impl std::fmt::Display> {
    Some("shown")
}

fn main() {}
