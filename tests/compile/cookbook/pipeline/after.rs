use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_supervised::{CancellationToken, Group, supervised};

async fn next_line() -> anyhow::Result<Option<String>> {
    Ok(None)
}

#[supervised(on_cancel = "cooperate", grace = "5s")]
async fn write(mut from: Receiver<u64>) -> anyhow::Result<()> {
    while from.recv().await.is_some() {}
    Ok(())
}

// readme
#[supervised] // dropped when the token fires: its channel closes
async fn read(to: Sender<String>) -> anyhow::Result<()> {
    while let Some(line) = next_line().await? {
        if to.send(line).await.is_err() {
            break; // the next stage has failed and returns why
        }
    }
    Ok(())
}

// ends when its channel is closed and empty
#[supervised(on_cancel = "cooperate", grace = "5s")]
async fn parse(
    mut from: Receiver<String>,
    to: Sender<u64>,
) -> anyhow::Result<()> {
    while let Some(line) = from.recv().await {
        if to.send(line.parse()?).await.is_err() {
            break;
        }
    }
    Ok(())
}

async fn run(token: &CancellationToken) -> anyhow::Result<()> {
    let (to_parse, lines) = channel(64);
    let (to_write, numbers) = channel(64);
    let group = Group::new(token);
    // the last stage first: its reader exists already
    group.spawn(|token| write(token, numbers)).await;
    group.spawn(|token| parse(token, lines, to_write)).await;
    group.spawn(|token| read(token, to_parse)).await;
    group.join().await.map(drop) // the first failure, if any
}
// end
