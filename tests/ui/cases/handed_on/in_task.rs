use tokio_supervised::{supervised, task, CancellationToken, TaskError};

#[supervised]
async fn step(_number: u32) -> Result<(), TaskError> {
    Ok(())
}

fn main() {
    let (_sender, mut numbers) = tokio::sync::mpsc::channel(1);
    _ = task!("steps", |stop: CancellationToken| -> Result<(), TaskError> {
        while let Some(number) = numbers.recv().await {
            step(stop.clone(), number).await?;
        }
        Ok(())
    });
}
