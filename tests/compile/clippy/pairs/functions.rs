//! Free functions.

use std::{cell::RefCell, io, rc::Rc, sync::Mutex};

use tokio_supervised::{CancellationToken, TaskError};

mod inside {
    #[tokio_supervised::supervised]
    pub async fn not_reachable(n: u32) -> Result<u32, super::TaskError> {
        std::future::ready(()).await;
        Ok(n)
    }

    #[tokio_supervised::supervised]
    pub async fn not_reachable_and_returns_nothing() {
        std::future::ready(()).await;
    }

    #[tokio_supervised::supervised]
    pub(crate) async fn not_reachable_in_the_crate(
        token: &super::CancellationToken,
        n: u32,
    ) -> Result<u32, super::TaskError>
    where
        u32: Copy,
    {
        token.cancelled().await;
        Ok(n)
    }
}

#[tokio_supervised::supervised]
async fn dead(n: u32) -> Result<u32, TaskError> {
    std::future::ready(()).await;
    Ok(n)
}

#[tokio_supervised::supervised]
async fn dead_and_returns_nothing() {
    std::future::ready(()).await;
}

#[tokio_supervised::supervised]
async fn dead_with_a_token(token: &CancellationToken) -> Result<(), TaskError> {
    token.cancelled().await;
    Ok(())
}

#[tokio_supervised::supervised]
async fn dead_with_a_given_token(token: CancellationToken) {
    token.cancelled().await;
}

#[tokio_supervised::supervised(restart = "on-failure")]
async fn dead_and_restarts(n: u32) -> Result<(), TaskError> {
    std::future::ready(n).await;
    Ok(())
}

#[tokio_supervised::supervised]
async fn dead_where<T>(n: T) -> Result<(), TaskError>
where
    T: Copy + Send,
{
    std::future::ready(n).await;
    Ok(())
}

#[tokio_supervised::supervised]
pub async fn undocumented(n: u32) -> Result<u32, TaskError> {
    std::future::ready(()).await;
    Ok(n)
}

#[allow(missing_docs)]
#[tokio_supervised::supervised]
pub async fn allowed_to_be_undocumented(n: u32) -> Result<u32, TaskError> {
    std::future::ready(()).await;
    Ok(n)
}

/// Not safe, and does not say why.
#[tokio_supervised::supervised]
pub async unsafe fn not_safe(n: u32) -> Result<u32, TaskError> {
    std::future::ready(()).await;
    Ok(n)
}

/// Fails, and does not say when.
#[tokio_supervised::supervised]
pub async fn fails() -> Result<(), TaskError> {
    std::future::ready(()).await;
    Ok(())
}

/// Panics, and does not say when.
#[tokio_supervised::supervised]
pub async fn panics(n: Option<u32>) -> Result<u32, TaskError> {
    std::future::ready(()).await;
    assert!(n.is_some(), "the option is set");
    let first = n.unwrap();
    let second = n.expect("the option is set");
    if first > second {
        panic!("it is not so");
    }
    if first < second {
        unreachable!()
    }
    todo!()
}

/// A `Result` without an error.
#[tokio_supervised::supervised]
pub async fn unnecessary_result(n: u32) -> Result<u32, TaskError> {
    Ok(n)
}

/// Four bools.
#[tokio_supervised::supervised]
pub async fn bools(a: bool, b: bool, c: bool, d: bool) -> Result<bool, TaskError> {
    std::future::ready(()).await;
    Ok(a && b && c && d)
}

/// Seven parameters.
#[tokio_supervised::supervised]
pub async fn seven(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8) -> Result<u8, TaskError> {
    std::future::ready(()).await;
    Ok(a + b + c + d + e + f + g)
}

/// Eight parameters.
#[tokio_supervised::supervised]
pub async fn eight(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8) -> Result<u8, TaskError> {
    std::future::ready(()).await;
    Ok(a + b + c + d + e + f + g + h)
}

/// Returns where it need not.
#[tokio_supervised::supervised]
pub async fn returns(n: u32) -> Result<u32, TaskError> {
    std::future::ready(()).await;
    return Ok(n);
}

/// Returns nothing where it need not.
#[tokio_supervised::supervised]
pub async fn returns_nothing() {
    std::future::ready(()).await;
    return;
}

/// Returns a `let` binding.
#[tokio_supervised::supervised]
pub async fn lets_and_returns(n: u32) -> Result<u32, TaskError> {
    std::future::ready(()).await;
    let result = Ok(n);
    result
}

/// Asks and returns.
#[tokio_supervised::supervised]
pub async fn asks_and_returns(n: &str) -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
    std::future::ready(()).await;
    Ok(n.parse::<u32>()?)
}

/// Takes what it only reads.
#[tokio_supervised::supervised]
pub async fn by_value(text: String, list: Vec<u32>) -> Result<usize, TaskError> {
    std::future::ready(()).await;
    Ok(text.len() + list.len())
}

/// Borrows an owning type.
#[tokio_supervised::supervised]
pub async fn borrows_owners(text: &String, list: &Vec<u32>, path: &std::path::PathBuf) -> Result<usize, TaskError> {
    std::future::ready(()).await;
    Ok(text.len() + list.len() + path.as_os_str().len())
}

/// Borrows mutably without a change.
#[tokio_supervised::supervised]
pub async fn borrows_mutably(list: &mut Vec<u32>) -> Result<usize, TaskError> {
    std::future::ready(()).await;
    Ok(list.len())
}

/// Borrows a small value, and a box.
#[tokio_supervised::supervised]
pub async fn borrows_small(n: &u8, boxed: &Box<u32>, option: &Option<String>) -> Result<u32, TaskError> {
    std::future::ready(()).await;
    Ok(u32::from(*n) + **boxed + u32::from(option.is_some()))
}

/// Takes complex types.
#[tokio_supervised::supervised]
pub async fn complex(
    parts: Vec<Vec<Box<(u32, u32, u32, u32, Vec<Option<Box<dyn Fn(u32) -> Vec<u32> + Send>>>)>>>,
    boxed: Box<Vec<u32>>,
    shared: Rc<Vec<u32>>,
    option: Option<Option<u32>>,
) -> Result<usize, TaskError> {
    std::future::ready(()).await;
    Ok(parts.len() + boxed.len() + shared.len() + usize::from(option.is_some()))
}

/// Never waits.
#[tokio_supervised::supervised]
pub async fn never_waits(n: u32) -> Result<u32, TaskError> {
    Ok(n + 1)
}

/// Names with an underscore.
#[tokio_supervised::supervised]
pub async fn underscores(_unused: u32, _used: u32, __two: u32) -> Result<u32, TaskError> {
    std::future::ready(()).await;
    let _nothing = 1 + 1;
    Ok(_used)
}

/// Names that are taken again.
#[tokio_supervised::supervised]
pub async fn shadows(url: String, other: u32, more: u32, (left, right): (u32, u32)) -> Result<usize, TaskError> {
    std::future::ready(()).await;
    let url = url;
    let url = url.trim();
    let other = 12;
    let left = left + other;
    let more = "something else".len();
    let text = match more { more if more > 3 => "long", _ => "short" };
    Ok(url.len() + text.len() + more + usize::try_from(left + right).unwrap_or(1))
}

/// The token's name is taken again.
#[tokio_supervised::supervised]
pub async fn shadows_the_token(token: &CancellationToken) -> Result<(), TaskError> {
    let token = token.child_token();
    token.cancelled().await;
    let token = 1;
    std::future::ready(token).await;
    Ok(())
}

/// The given token's name is taken again.
#[tokio_supervised::supervised]
pub async fn shadows_the_given_token(token: CancellationToken) -> Result<(), TaskError> {
    let token = token;
    token.cancelled().await;
    let token = 1;
    std::future::ready(token).await;
    Ok(())
}

/// Shadows a name of the prelude.
#[tokio_supervised::supervised]
pub async fn shadows_in_a_closure(n: u32) -> Result<u32, TaskError> {
    let add = |n: u32| n + 1;
    std::future::ready(()).await;
    Ok(add(n))
}

/// Not everything is used.
#[tokio_supervised::supervised]
pub async fn unused(mut first: u32, (second, _): (u32, u32), mut third: u32, mut fourth: u32) -> Result<u32, TaskError> {
    let unused = 1;
    let mut never_changed = 2;
    std::future::ready(()).await;
    third = 3;
    fourth = 4;
    fourth = 5;
    io::empty();
    Ok::<u32, TaskError>(1);
    third == 3;
    never_changed;
    fourth;
    Ok(never_changed)
}

/// The token is not used.
#[tokio_supervised::supervised(allow(unused_token))]
pub async fn unused_token(token: &CancellationToken) -> Result<(), TaskError> {
    std::future::ready(()).await;
    Ok(())
}

/// The token that is given is not used.
#[tokio_supervised::supervised(allow(unused_token))]
pub async fn unused_given_token(mut token: CancellationToken) -> Result<(), TaskError> {
    std::future::ready(()).await;
    Ok(())
}

/// The token is used under a name that says otherwise.
#[tokio_supervised::supervised]
pub async fn underscore_token(_token: &CancellationToken) -> Result<(), TaskError> {
    _token.cancelled().await;
    Ok(())
}

/// The token is used under a name that says otherwise.
#[tokio_supervised::supervised]
pub async fn underscore_given_token(_token: CancellationToken) -> Result<(), TaskError> {
    _token.cancelled().await;
    Ok(())
}

/// Behind the end.
#[tokio_supervised::supervised]
pub async fn unreachable(n: u32) -> Result<u32, TaskError> {
    std::future::ready(()).await;
    return Ok(n);
    Ok(n + 1)
}

/// Parentheses, braces and semicolons.
#[tokio_supervised::supervised]
pub async fn marks(n: u32) -> Result<u32, TaskError> {
    let a = (n);
    let b = { n };;
    if (a == b) {
        std::future::ready(()).await
    }
    Ok((a + b))
}

/// No semicolon at the end.
#[tokio_supervised::supervised]
pub async fn no_semicolon(list: &Mutex<Vec<u32>>) {
    std::future::ready(()).await;
    list.lock().unwrap().clear()
}

/// A unit that is bound.
#[tokio_supervised::supervised]
pub async fn unit_value() -> () {
    let nothing = std::future::ready(()).await;
    let _ = nothing;
    ()
}

/// A body of one block.
#[tokio_supervised::supervised]
pub async fn block_in_a_block(n: u32) -> Result<u32, TaskError> {
    {
        std::future::ready(()).await;
        Ok(n)
    }
}

/// An argument without a name.
#[tokio_supervised::supervised]
pub async fn impl_argument(shown: impl std::fmt::Display) -> Result<String, TaskError> {
    std::future::ready(()).await;
    Ok(shown.to_string())
}

/// Lifetimes.
#[tokio_supervised::supervised]
pub async fn lifetimes<'a, 'unused>(text: &'a str) -> Result<&'a str, TaskError> {
    std::future::ready(()).await;
    Ok(text)
}

/// A lifetime that is not named.
#[tokio_supervised::supervised]
pub async fn hidden_lifetime(text: std::str::Chars<'_>, cell: std::cell::Ref<'_, u32>) -> Result<usize, TaskError> {
    std::future::ready(()).await;
    Ok(text.count() + usize::try_from(*cell).unwrap_or(1))
}

/// A lifetime in the return type.
#[tokio_supervised::supervised]
pub async fn hidden_lifetime_returned(text: &str) -> Result<std::str::Chars<'_>, TaskError> {
    std::future::ready(()).await;
    Ok(text.chars())
}

/// Generics.
#[tokio_supervised::supervised]
pub async fn generics<T: Clone, U>(t: T, u: U) -> Result<(T, U), TaskError>
where
    T: Send,
    U: Send + 'static,
{
    std::future::ready(()).await;
    Ok((t.clone(), u))
}

/// Blocks, prints, and triggers restriction lints.
#[tokio_supervised::supervised]
pub async fn restricted(n: i32, list: Vec<i32>) -> Result<i32, TaskError> {
    println!("{n}");
    eprintln!("{}", n);
    dbg!(n);
    let m = n as u8;
    let first = list[0];
    let float = 1.0f32 == 2.0;
    let text = "a".to_string();
    let shared = Rc::new(1).clone();
    let borrowed = RefCell::new(1);
    let guard = borrowed.borrow_mut();
    std::future::ready(()).await;
    drop(guard);
    std::mem::forget(text);
    let x = if float { 1 } else { 2 };
    match n { 1 => {}, _ => {} }
    for i in 0..list.len() { std::mem::drop(list[i]); }
    Ok(n / 2 + i32::from(m) + first + x + *shared)
}

/// A lock over an await.
#[tokio_supervised::supervised]
pub async fn locked(list: Mutex<Vec<u32>>) -> Result<usize, TaskError> {
    let guard = list.lock().unwrap();
    std::future::ready(()).await;
    Ok(guard.len())
}

/// A future that is large.
#[tokio_supervised::supervised]
pub async fn large() -> Result<u8, TaskError> {
    let bytes = [0_u8; 60_000];
    std::future::ready(()).await;
    Ok(bytes[1])
}

/// Waits for a large one.
#[tokio_supervised::supervised]
pub async fn waits_for_large() -> Result<u8, TaskError> {
    let large = async {
        let bytes = [0_u8; 60_000];
        std::future::ready(()).await;
        bytes[1]
    };
    Ok(large.await)
}

/// Documentation with SomeName, and a number of problems
/// that go on and on.
/// # Safety
/// None.
#[tokio_supervised::supervised]
pub async fn documented() -> Result<(), TaskError> {
    std::future::ready(()).await;
    Ok(())
}

/// An error without a value.
#[tokio_supervised::supervised]
pub async fn long_name_of_a_function_that_has_not_Snake_case(NotSnake: u32) -> Result<u32, TaskError> {
    std::future::ready(()).await;
    Ok(NotSnake)
}

/// Inner attributes.
#[tokio_supervised::supervised]
pub async fn inner(n: u32) -> Result<u32, TaskError> {
    #![allow(clippy::let_and_return)]
    std::future::ready(()).await;
    let result = Ok(n);
    result
}

/// Expects a lint that does not fire.
#[tokio_supervised::supervised]
#[expect(unused_variables)]
pub async fn expects(#[expect(unused_mut)] n: u32) -> Result<u32, TaskError> {
    std::future::ready(()).await;
    Ok(n)
}

/// Changes itself only, and drops what it has.
#[tokio_supervised::supervised]
pub async fn two_same(_x: u32, x: u32) -> Result<u32, TaskError> {
    std::future::ready(_x).await;
    Ok(x)
}

/// Loops.
#[tokio_supervised::supervised]
pub async fn loops(list: Vec<u32>, mut n: u32) -> Result<u32, TaskError> {
    for i in 0..list.len() {
        n += list[i];
        std::future::ready(()).await;
    }
    while let Some(first) = list.iter().next() {
        if *first == 1 {
            break;
        }
        std::future::ready(()).await;
        continue;
    }
    Ok(n)
}

/// A body of many lines.
#[tokio_supervised::supervised]
pub async fn items() -> Result<u32, TaskError> {
    std::future::ready(()).await;
    const INSIDE: u32 = 1;
    let big = [0_u64; 100_000];
    let mut counter = 0;
    for n in big {
        drop(n);
        counter += 1;
    }
    drop(counter);
    use std::fmt::Debug;
    fn helper(n: u32) -> u32 { n }
    Ok(helper(INSIDE))
}

/// Recurses.
#[tokio_supervised::supervised]
pub async fn mutable_bindings(mut list: Vec<u32>, ref mut other: Vec<u32>) -> Result<usize, TaskError> {
    list.push(1);
    std::future::ready(()).await;
    other.push(1);
    Ok(list.len())
}

/// Nothing.
#[must_use]
#[tokio_supervised::supervised]
pub async fn must_be_used() -> Result<(), TaskError> {
    std::future::ready(()).await;
    Ok(())
}

/// Inlined.
#[inline(always)]
#[tokio_supervised::supervised]
pub async fn inlined() -> Result<(), TaskError> {
    std::future::ready(()).await;
    Ok(())
}

/// Without a line.
#[tokio_supervised::supervised]
pub async fn one_line(n: u32) -> Result<u32, TaskError> { Ok(n) }

/// Empty.
#[tokio_supervised::supervised]
pub async fn empty() {}

/// Deprecated.
#[deprecated]
#[tokio_supervised::supervised]
pub async fn deprecated(n: u32) -> Result<u32, TaskError> {
    std::future::ready(()).await;
    Ok(n)
}

/// Calls a deprecated function, and discards a future.
#[tokio_supervised::supervised]
pub async fn calls(token: &CancellationToken) -> Result<(), TaskError> {
    let _ = dead_with_a_token(token);
    dead_with_a_given_token(token.clone()).await;
    let result = dead_with_a_token(token).await;
    result
}

/// Long enough.
#[tokio_supervised::supervised]
pub async fn branches(a: u32, b: u32) -> Result<u32, TaskError> {
    std::future::ready(()).await;
    if a > 1 {
        if b > 1 {
            return Ok(b);
        }
    }
    if a == 2 { Ok(1) } else { return Ok(2); }
}
