use tokio_supervised::supervised;

struct Works;

impl Works {
    #[supervised::test]
    async fn works(&self) {}
}

fn main() {}
