use tokio_supervised::task;

fn main() {
    drop(task!("work", allow(unused), |_| async { Ok::<_, std::io::Error>(()) }));
}
