//! A queue whose bodies are decoded.

use std::{fmt, future::Future, sync::Arc};

use crate::{
    error::SettingError,
    queue::{BoxError, Delivery, Disposition, Queue, Settings},
};

/// A queue whose bodies are decoded by a function. See [`Queue::decode`].
pub struct Decoded<Q, F> {
    queue: Q,
    decode: Arc<F>,
}

impl<Q, F> Decoded<Q, F> {
    pub(crate) fn new(queue: Q, decode: F) -> Self {
        Self { queue, decode: Arc::new(decode) }
    }
}

impl<Q: Queue, F, T, E> Queue for Decoded<Q, F>
where
    F: Fn(<Q::Delivery as Delivery>::Body) -> Result<T, E> + Send + Sync + 'static,
    T: Send + 'static,
    E: Into<BoxError>,
{
    type Delivery = DecodedDelivery<Q::Delivery, F>;
    type Error = Q::Error;

    fn system(&self) -> &'static str {
        self.queue.system()
    }

    fn destination(&self) -> &str {
        self.queue.destination()
    }

    fn connect(
        &mut self,
        settings: &Settings,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send {
        self.queue.connect(settings)
    }

    fn check(&self, settings: &Settings) -> Result<(), SettingError> {
        self.queue.check(settings)
    }

    async fn pull(&mut self, room: usize) -> Result<Vec<Self::Delivery>, Self::Error> {
        let pulled = self.queue.pull(room).await?;
        let decoded = |delivery| DecodedDelivery { delivery, decode: self.decode.clone() };
        Ok(pulled.into_iter().map(decoded).collect())
    }

    fn open(&self) -> usize {
        self.queue.open()
    }

    fn close(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        self.queue.close()
    }
}

impl<Q: fmt::Debug, F> fmt::Debug for Decoded<Q, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Decoded").field(&self.queue).finish()
    }
}

/// A delivery of a [`Decoded`] queue.
pub struct DecodedDelivery<D, F> {
    delivery: D,
    decode: Arc<F>,
}

impl<D: Delivery, F, T, E> Delivery for DecodedDelivery<D, F>
where
    F: Fn(D::Body) -> Result<T, E> + Send + Sync + 'static,
    T: Send + 'static,
    E: Into<BoxError>,
{
    type Body = T;

    fn id(&self) -> &str {
        self.delivery.id()
    }

    fn key(&self) -> Option<&[u8]> {
        self.delivery.key()
    }

    fn delivered(&self) -> u32 {
        self.delivery.delivered()
    }

    fn body(&mut self) -> Result<T, BoxError> {
        (self.decode)(self.delivery.body()?).map_err(Into::into)
    }

    fn progress(&self) -> impl Future<Output = Result<(), BoxError>> + Send {
        self.delivery.progress()
    }

    fn settle(self, how: Disposition) -> impl Future<Output = Result<(), BoxError>> + Send {
        self.delivery.settle(how)
    }
}

impl<D: fmt::Debug, F> fmt::Debug for DecodedDelivery<D, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DecodedDelivery").field(&self.delivery).finish()
    }
}
