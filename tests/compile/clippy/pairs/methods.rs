//! Methods, beside plain ones.

use std::sync::Arc;

use tokio_supervised::{CancellationToken, TaskError};

/// Has methods.
#[derive(Clone)]
pub struct Shop {
    items: Vec<String>,
}

impl Shop {
    async fn plain_and_dead(&self) {
        std::future::ready(()).await;
    }

    #[tokio_supervised::supervised]
    async fn dead(&self) -> Result<usize, TaskError> {
        std::future::ready(()).await;
        Ok(self.items.len())
    }

    #[tokio_supervised::supervised]
    async fn dead_and_returns_nothing(&mut self) {
        std::future::ready(()).await;
        self.items.clear();
    }

    fn plain_and_dead_too(&self) {}

    #[tokio_supervised::supervised]
    pub async fn undocumented(&self) -> Result<usize, TaskError> {
        std::future::ready(()).await;
        Ok(self.items.len())
    }

    /// Never uses itself.
    #[tokio_supervised::supervised]
    pub async fn unused_self(&self, n: u32) -> Result<u32, TaskError> {
        std::future::ready(()).await;
        Ok(n)
    }

    /// Changes nothing.
    #[tokio_supervised::supervised]
    pub async fn mutable_self(&mut self) -> Result<usize, TaskError> {
        std::future::ready(()).await;
        Ok(self.items.len())
    }

    /// Takes itself, and changes nothing.
    #[tokio_supervised::supervised]
    pub async fn takes_self(mut self) -> Result<usize, TaskError> {
        std::future::ready(()).await;
        Ok(self.items.len())
    }

    /// Names its own type.
    #[tokio_supervised::supervised]
    pub async fn names_itself(self: Arc<Self>, other: &Shop) -> Result<Shop, TaskError> {
        std::future::ready(()).await;
        Ok(Shop { items: other.items.clone() })
    }

    /// Panics.
    #[tokio_supervised::supervised]
    pub async fn panics(&self, n: Option<u32>) -> Result<u32, TaskError> {
        std::future::ready(()).await;
        Ok(n.unwrap())
    }

    /// Not safe.
    #[tokio_supervised::supervised]
    pub async unsafe fn not_safe(&self, token: &CancellationToken) -> Result<usize, TaskError> {
        token.cancelled().await;
        Ok(self.items.len())
    }

    /// Says that it converts.
    #[tokio_supervised::supervised]
    pub async fn into_items(&self) -> Result<Vec<String>, TaskError> {
        std::future::ready(()).await;
        Ok(self.items.clone())
    }

    /// Says that it is one.
    #[tokio_supervised::supervised]
    pub async fn is_open(self, mut a: bool, b: bool, c: bool, d: bool) -> Result<bool, TaskError> {
        std::future::ready(()).await;
        Ok(a && b && c && d)
    }

    /// Makes one.
    #[tokio_supervised::supervised]
    pub async fn new() -> Result<Self, TaskError> {
        std::future::ready(()).await;
        return Ok(Self { items: Vec::new() });
    }

    /// Shadows.
    #[tokio_supervised::supervised(restart = "always")]
    pub async fn restarts(&self, url: String, _name: String, (left, _): (u32, u32)) -> Result<usize, TaskError> {
        std::future::ready(()).await;
        let url = url.trim();
        Ok(url.len() + self.items.len())
    }

    /// Restarts with a token.
    #[tokio_supervised::supervised(restart = "always")]
    pub async fn restarts_with_a_token(&self, token: &CancellationToken, mut url: String) -> Result<usize, TaskError> {
        let token = token.child_token();
        token.cancelled().await;
        Ok(url.len())
    }

    /// Assigns what is never read.
    #[tokio_supervised::supervised]
    pub async fn assigns(mut self) -> Result<u32, TaskError> {
        let mut n = 1;
        n = 2;
        std::future::ready(()).await;
        self.items.clear();
        Ok(n)
    }

    /// Assigns a field that only its drop reads.
    #[tokio_supervised::supervised]
    pub async fn assigns_itself(mut self) -> Result<u32, TaskError> {
        let mut beside = 1;
        beside = 2;
        std::future::ready(()).await;
        self.items = Vec::new();
        Ok(beside)
    }

    /// Its last expression borrows.
    #[tokio_supervised::supervised(restart = "always")]
    pub async fn unused_names(self: Arc<Self>, mut first: u32, second: String, _: u32, [third, ..]: [u32; 2]) -> Result<u32, TaskError> {
        std::future::ready(()).await;
        first = 1;
        Ok(1)
    }

    fn plain_between(&self) {}
}

/// A trait.
pub trait Store {
    /// Saves.
    fn save(&self, token: CancellationToken, name: &str) -> impl std::future::Future<Output = Result<(), TaskError>> + Send;
    /// Loads.
    fn load(&self, token: CancellationToken, name: String) -> impl std::future::Future<Output = Result<(), TaskError>> + Send;
}

impl Store for Shop {
    #[tokio_supervised::supervised]
    async fn save(&self, token: CancellationToken, name: &str) -> Result<(), TaskError> {
        token.cancelled().await;
        let name = name.trim();
        drop(name);
        return Ok(());
    }

    #[tokio_supervised::supervised]
    async fn load(&self, token: CancellationToken, _name: String) -> Result<(), TaskError> {
        let token = token;
        token.cancelled().await;
        Ok(())
    }
}

/// Is generic.
pub struct Holder<T> {
    inner: T,
}

impl<T: Clone + Send + Sync> Holder<T> {
    #[tokio_supervised::supervised]
    async fn dead(&self) -> Result<T, TaskError> {
        std::future::ready(()).await;
        Ok(self.inner.clone())
    }

    fn plain_and_dead(&self) {}

    /// Gets.
    #[tokio_supervised::supervised]
    pub async fn get<U: Into<T>>(&self, other: U) -> Result<T, TaskError>
    where
        U: Send,
    {
        std::future::ready(()).await;
        drop(other.into());
        Ok(self.inner.clone())
    }
}

/// A provided method.
pub trait Provided: Sync {
    /// Waits.
    #[allow(async_fn_in_trait)]
    #[tokio_supervised::supervised]
    async fn wait(&self, token: CancellationToken, _n: u32) -> Result<(), TaskError> {
        token.cancelled().await;
        return Ok(());
    }
}
