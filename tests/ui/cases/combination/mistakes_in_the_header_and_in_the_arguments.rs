use tokio_supervised::{supervised, CancellationToken};

#[supervised(limit = 0, grace = "5s", colour = "red")]
const fn fetch(url: &str, token: &mut CancellationToken, other: CancellationToken) -> ! {
    loop {}
}

fn main() {}
