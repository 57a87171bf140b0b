use tokio_supervised::supervised;

#[supervised::main]
async fn main() {
    loop {
        std::hint::spin_loop();
    }
}
