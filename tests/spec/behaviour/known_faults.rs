//! Regression tests for faults of earlier versions of such programs, each named after the fault.

mod work_with_the_token_of_its_request_ends_with_it {
    use std::time::Duration;

    use tokio_supervised::{CancellationToken, Outcome, Pool, TaskError, supervised};

    use crate::behaviour::gate::{Gate, gate};
    use testkit::{in_time, outcomes_of, turn};

    #[supervised(name = "fault: store")]
    async fn store(gate: Gate) -> Result<(), TaskError> {
        gate.pass().await;
        Ok(())
    }

    #[supervised(name = "fault: request")]
    async fn request(pool: Pool, gate: Gate) -> anyhow::Result<()> {
        pool.spawn(|token| store(token, gate)).await?;
        std::future::pending().await
    }

    #[tokio::test(start_paused = true)]
    async fn work_in_a_pool_outlives_its_request() {
        let (gate, mut keeper) = gate();
        let (pool, client_left) = (Pool::new(1), CancellationToken::new());
        let served = tokio::spawn(request(client_left.clone(), pool.clone(), gate));
        keeper.started(1).await;
        client_left.cancel();
        in_time(served).await.unwrap().unwrap_err();
        turn().await;
        assert_eq!(pool.len(), 1);
        keeper.open(1);
        in_time(pool.drain(Duration::from_secs(1))).await.unwrap();
        assert_eq!(outcomes_of("fault: store"), [(Outcome::Ok, 1)]);
        assert_eq!(outcomes_of("fault: request"), [(Outcome::Cancelled, 1)]);
    }
}

mod a_full_pool_blocks_until_the_client_gives_up {
    use std::time::Duration;

    use tokio_supervised::{Pool, TaskError, TrySpawnError, supervised};

    use crate::behaviour::gate::{Gate, gate};
    use testkit::{in_time, poll_once};

    #[supervised(name = "fault: slow")]
    async fn slow(gate: Gate) -> Result<(), TaskError> {
        gate.pass().await;
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_pool_refuses_at_once() {
        let (gate, mut keeper) = gate();
        let pool = Pool::new(2);
        let handler = async || match pool.try_spawn(|token| slow(token, gate.clone())) {
            Ok(_) => 202,
            Err(TrySpawnError::Full) => 503,
            Err(_) => 500,
        };
        let mut answers = Vec::new();
        for _ in 0..4 {
            let answer = poll_once(handler());
            assert!(answer.is_ready(), "it does not wait");
            answers.push(answer);
        }
        let answered = |code| answers.iter().filter(|answer| **answer == code).count();
        assert_eq!((answered(202.into()), answered(503.into())), (2, 2));
        keeper.started(2).await;
        keeper.open(2);
        in_time(pool.drain(Duration::from_secs(1))).await.unwrap();
    }
}

mod a_drain_drops_buffered_messages {
    use std::{
        collections::VecDeque,
        sync::{Arc, Mutex},
        time::Duration,
    };

    use tokio_supervised::{Outcome, Pool, SpawnError, TaskError, supervised};

    use crate::behaviour::gate::{Gate, gate};
    use testkit::{in_time, outcomes_of, turn};

    #[supervised(name = "fault: process")]
    async fn process(
        gate: Gate,
        message: u32,
        done: Arc<Mutex<Vec<u32>>>,
    ) -> Result<(), TaskError> {
        gate.pass().await;
        done.lock().unwrap().push(message);
        Ok(())
    }

    /// Receives a message only after it has reserved a slot for it.
    async fn produce(
        pool: Pool,
        queue: Arc<Mutex<VecDeque<u32>>>,
        gate: Gate,
        done: Arc<Mutex<Vec<u32>>>,
    ) -> SpawnError {
        loop {
            let slot = match pool.reserve().await {
                Ok(slot) => slot,
                Err(closed) => return closed,
            };
            let Some(message) = queue.lock().unwrap().pop_front() else {
                std::future::pending().await
            };
            let (gate, done) = (gate.clone(), done.clone());
            turn().await;
            slot.spawn(move |token| process(token, gate, message, done));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn accepted_work_is_finished_and_waiting_work_is_untouched() {
        let (gate, mut keeper) = gate();
        let queue: Arc<Mutex<VecDeque<u32>>> = Arc::new(Mutex::new((0..10).collect()));
        let done = Arc::new(Mutex::new(Vec::new()));
        let pool = Pool::new(3);
        let producer =
            tokio::spawn(produce(pool.clone(), queue.clone(), gate.clone(), done.clone()));
        keeper.started(3).await;
        let drain = tokio::spawn({
            let pool = pool.clone();
            async move { pool.drain(Duration::from_secs(60)).await }
        });
        let refused = in_time(producer).await.unwrap();
        assert!(matches!(refused, SpawnError::Closed(_)));
        keeper.open(3);
        in_time(drain).await.unwrap().unwrap();
        let mut taken = done.lock().unwrap().clone();
        taken.extend(queue.lock().unwrap().iter());
        taken.sort_unstable();
        assert_eq!(taken, (0..10).collect::<Vec<_>>(), "each is done, or still in the queue");
        assert_eq!(outcomes_of("fault: process"), [(Outcome::Ok, 3)]);
    }
}

mod a_recovered_loop_ends_silently {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicU32, Ordering},
        },
        time::Duration,
    };

    use tokio::{sync::mpsc, time::interval};
    use tokio_supervised::{CancellationToken, Group, Outcome, TaskError, supervised};

    use testkit::{in_time, outcomes_of, stats_of};

    #[supervised(
        name = "fault: flush",
        restart = "on-failure",
        backoff = "10ms..1s",
        max_restarts = "5/1m"
    )]
    async fn flush_every_tick(
        ticks: Arc<AtomicU32>,
        flushed: mpsc::UnboundedSender<u32>,
    ) -> Result<(), TaskError> {
        let mut ticker = interval(Duration::from_millis(100));
        loop {
            ticker.tick().await;
            let tick = ticks.fetch_add(1, Ordering::SeqCst) + 1;
            assert!(![3, 5].contains(&tick), "tick {tick} panics");
            flushed.send(tick).unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_panics_restarts_and_its_panics_are_counted() {
        let token = CancellationToken::new();
        let (flushed, mut has_flushed) = mpsc::unbounded_channel();
        let looping = tokio::spawn(flush_every_tick(token.clone(), Arc::default(), flushed));
        for tick in [1, 2, 4, 6, 7] {
            assert_eq!(in_time(has_flushed.recv()).await, Some(tick));
        }
        assert_eq!(stats_of("fault: flush").restarts, 2);
        token.cancel();
        let ended = in_time(looping).await.unwrap();
        assert!(matches!(ended, Err(TaskError::Cancelled(_))), "{ended:?}");
        let outcomes = outcomes_of("fault: flush");
        assert_eq!(outcomes, [(Outcome::Panicked, 2), (Outcome::Cancelled, 1)]);
    }

    #[supervised(name = "fault: broken", restart = "on-failure", max_restarts = "2/1m")]
    async fn broken() -> Result<(), TaskError> {
        panic!("as always")
    }

    #[supervised(name = "fault: reader")]
    async fn read() -> Result<(), TaskError> {
        std::future::pending().await
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_stops_restarting_stops_its_dependants() {
        let group = Group::new(&CancellationToken::new()).until_first_exit();
        group.spawn(read).await;
        group.spawn(broken).await;
        let ended = in_time(group.join()).await;
        assert!(matches!(ended, Err(TaskError::Panicked(_))), "{ended:?}");
        assert_eq!(outcomes_of("fault: broken"), [(Outcome::Panicked, 3)]);
        assert_eq!(outcomes_of("fault: reader"), [(Outcome::Cancelled, 1)]);
    }
}
