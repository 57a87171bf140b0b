//! One message.

use std::{io, sync::Arc, time::Duration};

use tokio::{task::spawn_blocking, time::sleep};
use tokio_supervised::{CancellationToken, TaskError, shield, supervised};

use crate::{done::Done, partitions::UnderWay};

/// How long writing an effect may take.
const WRITING: Duration = Duration::from_secs(5);

/// Processes one message and writes its effect. Only then has it ended.
///
/// When cancelled, it leaves the work unfinished, and the message to the next member that has the partition.
#[supervised(name = "handle", on_cancel = "drop")]
pub(crate) async fn handle(
    token: &CancellationToken,
    done: Arc<Done>,
    under_way: UnderWay,
    job: Vec<u8>,
    work: Duration,
) -> anyhow::Result<()> {
    let came = match square(token, &job, work).await {
        Err(error @ TaskError::Cancelled(_)) => return Err(error.into()),
        Err(error) => format!("dead {error}"),
        Ok(result) => format!("done {result}"),
    };
    shield(WRITING, |token| write(token, done, under_way, came)).await?;
    Ok(())
}

/// The work: it trusts a message to be a number, and panics if it is not.
#[supervised(name = "square", timeout = "10s")]
async fn square(job: &[u8], work: Duration) -> Result<u64, TaskError> {
    if !work.is_zero() {
        sleep(work).await;
    }
    let number: u64 =
        std::str::from_utf8(job).expect("it is text").parse().expect("it is a number");
    Ok(number.wrapping_mul(number))
}

#[supervised(name = "write")]
async fn write(done: Arc<Done>, under_way: UnderWay, came: String) -> io::Result<()> {
    spawn_blocking(move || {
        let UnderWay { partition, offset, .. } = under_way;
        let line = format!("{partition} {offset} {}\n", came.replace('\n', " "));
        done.append(line.as_bytes())?;
        under_way.ended();
        Ok(())
    })
    .await?
}
