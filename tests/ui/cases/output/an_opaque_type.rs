use tokio_supervised::supervised;

#[supervised]
async fn show() -> impl std::fmt::Display {
    "shown"
}

fn main() {}
