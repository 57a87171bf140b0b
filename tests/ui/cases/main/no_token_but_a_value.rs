use tokio_supervised::supervised;

#[supervised::main]
async fn main(verbose: bool) {
    let _ = verbose;
}
