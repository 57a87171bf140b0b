use tokio_supervised::supervised;

#[supervised::test]
async fn works() {
    tokio::spawn(async {});
    std::thread::sleep(std::time::Duration::from_millis(10));
    loop {}
}

fn main() {}
