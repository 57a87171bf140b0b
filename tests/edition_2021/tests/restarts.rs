//! Calls every form of a restarting function.

use std::{
    cell::Cell,
    pin::Pin,
    rc::Rc,
    sync::{Arc, Mutex},
};

use tokio_supervised::{CancellationToken, TaskError, map};

use super::restarts::{self, Counter, Holder, Point, Runs, Store};

#[tokio::test(start_paused = true)]
async fn a_token_is_lent_or_moved_for_all_runs() -> Result<(), TaskError> {
    let token = CancellationToken::new();
    restarts::unit(&token).await;
    restarts::one_line(&token, Runs::default()).await?;
    assert_eq!(restarts::plain(&token, Runs::default(), 1).await?, 1);
    assert_eq!(restarts::plain(token.clone(), Runs::default(), 2).await?, 2);
    assert!(!restarts::lent(&&token, Runs::default()).await?);
    assert!(!restarts::lent(token.clone(), Runs::default()).await?);
    assert!(!restarts::given(token.clone(), Runs::default()).await?);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn every_run_starts_with_the_original_parameters() -> Result<(), TaskError> {
    let (token, runs) = (CancellationToken::new(), Runs::default);
    let point = Point { x: 4, y: String::new() };
    let sum = restarts::patterns(&token, (1, 2), String::new(), 3, point, [5, 6], 7, runs());
    assert_eq!(sum.await?, 1 + 3 + 4 + 4 + 5 + 6 + 7);
    assert_eq!(restarts::attributes(&token, 1, 2, runs()).await?, 1);
    assert_eq!(restarts::generic::<_, 2>(&token, [1, 2], runs()).await?, "12");
    let kept = {
        let one_char = String::from("x");
        restarts::lifetimes(&token, "kept", one_char.chars(), &runs()).await?
    };
    assert_eq!(kept, "ept");
    let mut calls = 0;
    let boxed: Mutex<Box<dyn FnMut() -> u32>> = Mutex::new(Box::new(move || {
        calls += 1;
        calls
    }));
    let shown = restarts::impl_arguments(&token, vec!['a'], |n| n + 1, &boxed, runs());
    assert_eq!(shown.await?, "31", "called twice");
    assert_eq!(restarts::impl_result(&token, &[1, 2], runs()).await?.sum::<u32>(), 6);
    assert_eq!(restarts::early(&token, "", runs()).await.ok(), Some(0));
    assert_eq!(restarts::early(&token, "7", runs()).await.ok(), Some(7));
    let items = Arc::new(Mutex::new(vec![1, 2]));
    assert_eq!(restarts::tail_borrows(&token, items, runs()).await?, 2);
    restarts::r#match(&token, runs()).await
}

#[tokio::test(start_paused = true)]
async fn receivers_are_unchanged_under_restart() -> Result<(), TaskError> {
    let token = CancellationToken::new();
    let counter = || Counter { count: 0, runs: Runs::default() };
    assert_eq!(*counter().get(&token).await?, 0);
    assert_eq!(counter().get_with(&token).await?, 0);
    assert_eq!(counter().take(&token).await?, 0);
    assert_eq!(counter().changed(&token, 2).await?.count, 2);
    assert_eq!(Arc::new(counter()).shared(&token).await?, 0);
    assert_eq!(Box::new(counter()).boxed(&token).await?.count, 1);
    assert_eq!(*counter().written_out(&token, "").await?, 0);
    assert_eq!(Pin::new(&counter()).pinned(&token).await?, 0);
    counter().idle(&token).await?;
    assert_eq!(counter().save(token.clone(), 1).await?, 1);
    let held = 5;
    assert_eq!(Holder { held: &held }.held(&token, Runs::default()).await?, &5);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn unusual_functions_restart_too() -> Result<(), TaskError> {
    let token = CancellationToken::new();
    assert_eq!(restarts::recursive(&token, 10).await?, 10);
    // SAFETY: the function has no precondition.
    unsafe { restarts::unsafe_one(&token, Runs::default()) }.await?;
    let shared = Rc::new(Cell::new(3));
    assert_eq!(restarts::not_send(&token, shared, Runs::default()).await?, 3);
    let runs = (0..4).map(|_| Runs::default());
    assert_eq!(map(&token, runs, restarts::lent).await?, [false; 4]);
    Ok(())
}
