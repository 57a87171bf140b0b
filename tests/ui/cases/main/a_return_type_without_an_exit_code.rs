use tokio_supervised::supervised;

#[supervised::main]
async fn main() -> u32 {
    1
}
