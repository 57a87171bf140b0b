//! Memory and cost do not depend on ended tasks.

#[cfg(target_os = "linux")]
mod groups {
    use std::future::pending;

    use tokio_supervised::{CancellationToken, Group, TaskError, supervised};

    use testkit::{fixture::child_passes, memory::resident_kilobytes};

    #[test]
    fn ended_tasks_without_a_value_cost_no_memory() {
        child_passes("composition::life::groups::fixture_ended_tasks");
    }

    /// In a separate process, which measures itself.
    #[tokio::test(flavor = "current_thread")]
    #[ignore = "fixture of another test"]
    async fn fixture_ended_tasks() {
        #[supervised(name = "life: connection")]
        async fn connection() -> Result<(), TaskError> {
            Ok(())
        }
        #[supervised(name = "life: ticker")]
        async fn ticker() -> Result<(), TaskError> {
            pending().await
        }

        let token = CancellationToken::new();
        let group: Group<(), TaskError> = Group::new(&token).limit(64);
        // The first task of the group: all later ones end before it.
        group.spawn(ticker).await;
        let spawn = async |tasks| {
            for _ in 0..tasks {
                group.spawn(connection).await;
            }
        };
        spawn(50_000).await;
        let before = resident_kilobytes();
        spawn(250_000).await;
        let grown = resident_kilobytes().saturating_sub(before);
        assert!(grown < 200, "250,000 ended tasks hold {grown} kB");
        token.cancel();
        group.join().await.unwrap_err();
    }
}

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
            assert!(panic.location().is_some(), "the place is kept despite the bound");
            assert!(panic.message().contains("left: [1, 1"), "{}", panic.message());
            assert!(panic.message().ends_with(" bytes)"), "it contains the original length");
            let payload = panic.into_payload();
            let whole = payload.downcast_ref::<String>().unwrap();
            assert!(whole.len() > 1_000_000, "the payload is complete");
        }
        let kept: usize = recent_panics().iter().map(|panic| panic.message().len()).sum();
        assert!(kept <= 16 * (8 * 1024 + 100), "{kept} bytes");
    }
}
