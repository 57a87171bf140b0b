use tokio_supervised::supervised;

#[supervised]
mod work {
    pub fn run() {}
}

fn main() {
    work::run();
}
