use tokio_supervised::supervised;

/// What there is to do.
#[supervised]
#[derive(Clone)]
pub enum Work {
    Much,
}

fn main() {}
