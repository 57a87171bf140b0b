use tokio_supervised::supervised;

#[supervised]
const WORK: u32 = 1;

fn main() {
    let _ = WORK;
}
