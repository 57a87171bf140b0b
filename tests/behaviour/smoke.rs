use std::{borrow::Cow, fmt::Display, sync::Arc, time::Duration};
use tokio_supervised::{
    AsToken, CancellationToken, Group, TaskError, map, stats, supervised, task,
};

#[supervised]
async fn plain(n: u32) -> Result<u32, TaskError> {
    Ok(n)
}
#[supervised(limit = 2, timeout = "1s")]
async fn slow(
    mut n: u32,
    (a, b): (u32, u32),
    _: String,
    #[cfg(any())] x: u32,
) -> anyhow::Result<u32> {
    n += a + b;
    tokio::time::sleep(Duration::from_millis(n as u64)).await;
    Ok(n)
}
#[supervised(timeout = "5s")]
async fn with_token(
    token: &CancellationToken,
    n: u32,
) -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
    token.cancelled().await;
    Ok(n)
}
#[supervised]
async fn given(token: CancellationToken) {
    token.cancelled().await;
}
#[supervised]
async fn generic<'a, T: Display + 'a>(x: &'a T, s: &str) -> std::io::Result<Cow<'a, str>>
where
    T: Send,
{
    let _ = s;
    Ok(x.to_string().into())
}
#[supervised]
async fn imp(x: impl Display) -> Result<impl Display, TaskError> {
    Ok(format!("{x}"))
}
struct S {
    v: u32,
}
impl S {
    #[supervised]
    async fn by_ref(&self) -> Result<&u32, TaskError> {
        Ok(&self.v)
    }
    #[supervised]
    async fn by_mut(&mut self) -> Result<(), TaskError> {
        self.v += 1;
        Ok(())
    }
    #[supervised]
    async fn by_arc(self: Arc<Self>, token: &CancellationToken) -> Result<u32, TaskError> {
        token.cancelled().await;
        Ok(self.v)
    }
    #[supervised]
    async fn mut_self(mut self) -> Result<Self, TaskError> {
        self.v = 3;
        Ok(self)
    }
}
trait Store {
    fn save(&self, token: CancellationToken)
    -> impl Future<Output = Result<u32, TaskError>> + Send;
}
impl Store for S {
    #[supervised]
    async fn save(&self, token: CancellationToken) -> Result<u32, TaskError> {
        let _ = token;
        Ok(self.v)
    }
}
trait Store2 {
    async fn save2(&self, token: CancellationToken) -> Result<u32, TaskError>;
}
impl Store2 for S {
    #[supervised]
    async fn save2(&self, token: CancellationToken) -> Result<u32, TaskError> {
        let _ = token;
        Ok(self.v)
    }
}
#[supervised]
async fn boom() -> Result<(), TaskError> {
    panic!("boom {}", 1)
}
#[supervised]
async fn rec(token: &CancellationToken, n: u32) -> Result<u32, TaskError> {
    if n == 0 {
        return Ok(0);
    }
    Ok(1 + Box::pin(rec(token, n - 1)).await?)
}

#[tokio::test]
async fn it_works() {
    let t = CancellationToken::new();
    assert_eq!(plain(&t, 3).await.unwrap(), 3);
    assert_eq!(slow(&t, 3, (1, 2), String::new()).await.unwrap(), 6);
    assert_eq!(generic(&t, &3, "").await.unwrap(), "3");
    assert_eq!(imp(&t, 3).await.unwrap().to_string(), "3");
    let mut s = S { v: 1 };
    s.by_mut(&t).await.unwrap();
    assert_eq!(*s.by_ref(&t).await.unwrap(), 2);
    assert_eq!(s.save(t.clone()).await.unwrap(), 2);
    assert_eq!(s.save2(t.clone()).await.unwrap(), 2);
    assert_eq!(s.mut_self(&t).await.unwrap().v, 3);
    let e = boom(&t).await.unwrap_err();
    println!("{e}");
    if let TaskError::Panicked(p) = &e {
        println!("{}", p.backtrace().unwrap());
    }
    assert_eq!(rec(&t, 5).await.unwrap(), 5);
    let child = t.child_token();
    let h = tokio::spawn(with_token(child.clone(), 3));
    tokio::task::yield_now().await;
    child.cancel();
    assert_eq!(h.await.unwrap().unwrap(), 3);
    let v = map(&t, 0..1000, plain).await.unwrap();
    assert_eq!(v, (0..1000).collect::<Vec<_>>());
    let g = Group::new(&t).limit(2);
    for n in 0..10 {
        g.spawn(move |t| slow(t, n, (0, 0), String::new())).await;
    }
    g.spawn(|t| plain(t, 7).err_into()).await;
    g.spawn(task!("foreign", |_| async { anyhow::Ok(5) })).await;
    g.spawn(task!("foreign2", limit = 3, |token| -> anyhow::Result<u32> {
        let _ = token.is_cancelled();
        Ok(5)
    }))
    .await;
    assert_eq!(g.join().await.unwrap(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 7, 5, 5]);
    let _ = given(t.clone());
    println!(
        "{:#?}",
        stats()
            .iter()
            .map(|s| (s.name, s.started, s.running, s.place.to_string()))
            .collect::<Vec<_>>()
    );
    fn size<F: Future, T: AsToken>(f: &tokio_supervised::Supervised<F, T>, _: impl Fn(&F)) {
        println!("{} vs {}", size_of_val(f), size_of::<F>());
    }
    size(&plain(&t, 1), |_| ());
    size(&slow(&t, 3, (1, 2), String::new()), |_| ());
}
