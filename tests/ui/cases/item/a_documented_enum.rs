use tokio_supervised::supervised;

/// Things to do.
#[supervised]
#[derive(Clone)]
pub enum Work {
    Much,
}

fn main() {}
