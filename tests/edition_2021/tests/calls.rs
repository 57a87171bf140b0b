//! Calls every form as its author would call the plain function, with a token first.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
};

use tokio_supervised::{CancellationToken, TaskError, map};

use super::forms::{self, Counter, Holder, Load, Point, Store};

#[tokio::test]
async fn a_token_is_lent_or_moved() -> Result<(), TaskError> {
    let token = CancellationToken::new();
    forms::unit(&token).await;
    assert_eq!(forms::one_line(&token, 1).await?, 1);
    assert_eq!(forms::plain(&token, 1).await?, 1);
    assert_eq!(forms::plain(token.clone(), 2).await?, 2);
    assert_eq!(forms::plain(&&token, 3).await?, 3);
    assert_eq!(forms::lent(&token, 4).await?, 4);
    assert_eq!(forms::lent(token.clone(), 5).await?, 5);
    assert_eq!(forms::given(token.clone(), 6).await?, 6);
    assert_eq!(forms::renamed(&token, 7).await?, 7);
    assert_eq!(forms::seven(&token, 1, 1, 1, 1, 1, 1, 1).await?, 7);
    forms::calls_private(&token).await?;
    Ok(())
}

#[tokio::test]
async fn parameters_are_unchanged() -> Result<(), TaskError> {
    let token = CancellationToken::new();
    let point = Point { x: 4, y: 0 };
    let sum = forms::patterns(&token, (1, 2), String::new(), 3, point, [5, 6], 7);
    assert_eq!(sum.await?, 1 + 3 + 4 + 4 + 5 + 6 + 7);
    assert_eq!(point.y, 0);
    assert_eq!(forms::attributes(&token, 1, 2).await?, 1);
    assert!(!forms::attributes_before_the_token(&token).await?);
    assert_eq!(forms::inner_attributes(&token, 1).await?, 1);
    assert_eq!(forms::r#match(&token, 1).await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_constant_may_have_the_name_of_the_token() -> Result<(), TaskError> {
    let token = CancellationToken::new();
    assert_eq!(forms::constants::inserted(&token, 1).await?, 4);
    assert_eq!(forms::constants::restarting(&token, 2).await?, 5);
    assert_eq!(forms::constants::lent(&token).await?, 1);
    assert_eq!(forms::constants::Held::new(&token).await?.add(token, 1).await?, 2);
    Ok(())
}

#[tokio::test]
async fn a_result_outlives_the_token_that_was_lent() -> Result<(), TaskError> {
    let items = [1, 2];
    let (borrowed, own) = {
        let token = CancellationToken::new();
        (forms::impl_result(&token, &items).await?, forms::impl_result_of_its_own(&token, 3).await?)
    };
    assert_eq!(borrowed.sum::<u32>() + own.sum::<u32>(), 6 + 3);
    Ok(())
}

#[tokio::test]
async fn generics_and_lifetimes_are_unchanged() -> Result<(), TaskError> {
    let token = CancellationToken::new();
    assert_eq!(forms::generic::<_, 2>(&token, [1, 2]).await?, ["1", "2"]);
    let longer = String::from("longer");
    let kept = {
        let shorter = String::from("shorter");
        let (kept, other) = forms::explicit(&token, &longer, &shorter).await?;
        assert_eq!(other, "shorter");
        kept
    };
    assert_eq!(kept, "longer");
    assert_eq!(forms::elided(&token, " a ").await?, "a");
    assert_eq!(forms::anonymous(&token, "ab".chars(), "c").await?, 3);
    assert_eq!(forms::impl_argument(&token, 'a', 1_u8).await?, "a 1");
    let inside = forms::impl_arguments_inside(&token, vec!['a', 'b'], |n| n + 1, Box::new(|| 3));
    assert_eq!(inside.await?, 2 + 3 + 1);
    assert_eq!(forms::impl_result(&token, &[1, 2]).await?.sum::<u32>(), 6);
    let map = [("a".to_owned(), 1)].into();
    let found = {
        let key = String::from("a");
        forms::boxed_error(&token, &map, &key).await.expect("the file can be opened")
    };
    assert_eq!(*found, 1);
    assert_eq!(forms::early(&token, "").await.expect("empty is nothing"), 0);
    assert_eq!(forms::early(&token, "7").await.expect("seven is a number"), 7);
    assert!(forms::early(&token, "x").await.is_err());
    assert!(forms::io_error(&token).await.is_err());
    Ok(())
}

#[tokio::test]
async fn the_last_expression_may_borrow_from_a_parameter() -> Result<(), TaskError> {
    let token = CancellationToken::new();
    assert_eq!(forms::tail_borrows(&token, Mutex::new(vec![1, 2])).await?, 2);
    assert_eq!(forms::tail_matches(&token, Mutex::new(vec![1, 2])).await?, 1);
    forms::tail_of_nothing(&token, Mutex::new(vec![1])).await;
    Ok(())
}

#[tokio::test]
async fn methods_keep_their_receivers() -> Result<(), TaskError> {
    let token = CancellationToken::new();
    let mut counter = Counter::new(&token, 1).await?;
    assert_eq!(*counter.get(&token).await?, 1);
    assert_eq!(counter.get_with(&token, 1).await?, 2);
    assert_eq!(counter.add(&token, 1).await?.count, 2);
    assert_eq!(Pin::new(&mut counter).pinned(&token, 1).await?, 3);
    counter.idle(&token).await?;
    assert_eq!(*counter.written_out(&token, "other").await?, 2);
    assert_eq!(Box::new(Counter::default()).boxed(&token, 1).await?.count, 1);
    assert_eq!(counter.save(token.clone(), 1).await?, 3);
    assert_eq!(counter.load(token.clone()).await?, 3);
    assert_eq!(counter.load_twice(token.clone()).await?, 4 + 5);
    let counter = counter.changed(&token).await?;
    assert_eq!(counter.count, 6);
    let shared = Arc::new(counter);
    assert_eq!(Arc::clone(&shared).shared(&token).await?, 6);
    let counter = Arc::try_unwrap(shared).expect("the future has ended");
    assert_eq!(counter.take(&token).await?, 6);
    let value = 5;
    let held = {
        let holder = Holder { held: &value };
        assert_eq!(holder.show(&token, "n").await?, "n5");
        holder.held(&token).await?
    };
    assert_eq!(*held, 5);
    Ok(())
}

#[tokio::test]
async fn a_future_with_owned_parts_is_spawned() {
    let token = CancellationToken::new();
    let spawned = [
        tokio::spawn(forms::plain(token.clone(), 1)),
        tokio::spawn(forms::plain(token.clone(), 2)),
    ];
    let lent = tokio::spawn(forms::lent(token.clone(), 3));
    let given = tokio::spawn(forms::given(token.clone(), 4));
    let method = tokio::spawn(Arc::new(Counter { count: 5 }).shared(token.clone()));
    let generic = tokio::spawn(forms::generic(token.clone(), [6]));
    for (n, spawned) in (1..).zip(spawned) {
        assert_eq!(spawned.await.expect("it ends in time").expect("it is not cancelled"), n);
    }
    assert_eq!(lent.await.expect("it ends in time").expect("it is not cancelled"), 3);
    assert_eq!(given.await.expect("it ends in time").expect("it is not cancelled"), 4);
    assert_eq!(method.await.expect("it ends in time").expect("it is not cancelled"), 5);
    assert_eq!(generic.await.expect("it ends in time").expect("it is not cancelled"), ["6"]);
}

#[tokio::test]
async fn a_future_lives_as_long_as_its_borrowed_parts() -> Result<(), TaskError> {
    let token = CancellationToken::new();
    let text = String::from(" text ");
    let pending = forms::elided(&token, &text);
    let other = forms::elided(token.clone(), &text);
    let (first, second) = tokio::join!(pending, other);
    assert_eq!((first?, second?), ("text", "text"));
    Ok(())
}

#[tokio::test]
async fn a_function_calls_itself() -> Result<(), TaskError> {
    let token = CancellationToken::new();
    assert_eq!(forms::recursive(&token, 10).await?, 10);
    assert_eq!(forms::hidden(&token, 10).await?, 10);
    Ok(())
}

#[tokio::test]
async fn an_unsafe_function_is_called_in_an_unsafe_block() -> Result<(), TaskError> {
    let token = CancellationToken::new();
    // SAFETY: the function has no precondition.
    assert_eq!(unsafe { forms::unsafe_one(&token, 1) }.await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_future_that_is_not_send_is_awaited() -> Result<(), TaskError> {
    assert_eq!(forms::not_send(CancellationToken::new(), 1).await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_body_that_diverges_ends() {
    let token = CancellationToken::new();
    assert!(matches!(forms::panics(&token).await, Err(TaskError::Panicked(_))));
    let stop = token.child_token();
    let forever = tokio::spawn(forms::forever(stop.clone()));
    tokio::task::yield_now().await;
    stop.cancel();
    let ended = forever.await.expect("it ends in time");
    assert!(matches!(ended, Err(TaskError::Cancelled(_))));
}

#[tokio::test]
async fn functions_are_passed_by_name() -> Result<(), TaskError> {
    let token = CancellationToken::new();
    assert_eq!(map(&token, 0..4, forms::plain).await?, [0, 1, 2, 3]);
    assert_eq!(map(&token, 0..4, forms::given).await?, [0, 1, 2, 3]);
    Ok(())
}

#[tokio::test]
async fn foreign_futures_join_in_with_a_name() -> Result<(), TaskError> {
    assert_eq!(forms::tasks(&CancellationToken::new()).await?, [1, 2, 3, 4]);
    Ok(())
}

#[test]
fn an_entry_runs_its_body() {
    let _ = forms::entry::main();
    let _ = forms::entry::without_a_token();
}
