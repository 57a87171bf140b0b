use tokio_supervised::{CancellationToken, TaskError, supervised};

macro_rules! worker {
    ($name:ident, $token:ident, $body:block) => {
        #[supervised]
        async fn $name($token: &CancellationToken) -> Result<(), TaskError> $body
    };
}

worker!(good, token, {
    token.cancelled().await;
    Ok(())
});

worker!(bad, token, {
    tokio::spawn(async {});
    Ok(())
});

fn main() {}
