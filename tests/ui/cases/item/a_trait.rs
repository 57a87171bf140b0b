use tokio_supervised::supervised;

#[supervised]
trait Work {
    fn run(&self);
}

struct Idle;

impl Work for Idle {
    fn run(&self) {}
}

fn main() {
    Idle.run();
}
