//! Tests.

#[cfg(test)]
#[allow(dead_code, unreachable_pub)]
mod tests {
    use tokio_supervised::{CancellationToken, TaskError};

    /// A test.
    #[tokio_supervised::supervised::test]
    pub async fn with_a_token(token: &CancellationToken) -> Result<(), TaskError> {
        let token = token.clone();
        token.is_cancelled();
        let mut never_changed = (1);
        std::future::ready(()).await;
        return Ok(());
    }

    #[tokio_supervised::supervised::test(flavor = "current_thread")]
    pub async fn with_an_owned_token(_token: CancellationToken) {
        let unused: Option<u32> = None;
        _token.cancelled().await;
        assert_eq!(unused.unwrap(), 1);
        return;
    }

    #[tokio_supervised::supervised::test]
    pub async fn without() {
        std::future::ready(()).await;
        println!("{}", 1);
        std::future::ready(()).await
    }
}
