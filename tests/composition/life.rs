//! Memory and cost do not depend on what has ended.

mod panics {
    use tokio_supervised::{CancellationToken, TaskError, recent_panics, supervised};

    #[tokio::test]
    async fn recent_panics_keep_bounded_text() {
        #[supervised(name = "life: long message")]
        async fn compare(bytes: usize) -> Result<(), TaskError> {
            let (ones, twos) = (vec![1_u8; bytes], vec![2_u8; bytes]);
            assert_eq!(ones, twos);
            Ok(())
        }

        for _ in 0..16 {
            let TaskError::Panicked(panic) =
                compare(&CancellationToken::new(), 200_000).await.unwrap_err()
            else {
                panic!("it panics")
            };
            assert!(panic.location().is_some(), "the bound does not cost the place");
            assert!(panic.message().contains("left: [1, 1"), "{}", panic.message());
            assert!(panic.message().ends_with(" bytes)"), "it says how long it was");
            let payload = panic.into_payload();
            let whole = payload.downcast_ref::<String>().unwrap();
            assert!(whole.len() > 1_000_000, "the payload has all of it");
        }
        let kept: usize = recent_panics().iter().map(|panic| panic.message().len()).sum();
        assert!(kept <= 16 * (8 * 1024 + 100), "{kept} bytes");
    }
}
