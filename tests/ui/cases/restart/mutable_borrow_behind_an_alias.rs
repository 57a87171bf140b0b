use tokio_supervised::{supervised, TaskError};

type Lines<'a> = &'a mut Vec<String>;

#[supervised(restart = "on-failure")]
async fn push(lines: Lines<'_>) -> Result<(), TaskError> {
    lines.push(String::new());
    Ok(())
}

fn main() {}
