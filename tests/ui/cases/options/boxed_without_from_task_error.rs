use tokio_supervised::{supervised, BoxedTask, CancellationToken, TaskError};

struct Mine;

impl From<std::io::Error> for Mine {
    fn from(_: std::io::Error) -> Self {
        Mine
    }
}

#[supervised]
async fn work() -> std::io::Result<()> {
    Ok(())
}

fn boxed(token: CancellationToken) -> BoxedTask<(), Mine> {
    work(token).err_into::<Mine>().boxed()
}

fn main() {
    drop(boxed(CancellationToken::new()));
    drop(std::marker::PhantomData::<TaskError>);
}
