//! Functions that come from a macro.

use tokio_supervised::{CancellationToken, TaskError};

/// Drops.
pub struct Held(u32);

impl Drop for Held {
    fn drop(&mut self) {
        println!("{}", self.0);
    }
}

macro_rules! each {
    ($($item:item)*) => {
        $(
            #[tokio_supervised::supervised]
            $item
        )*
    };
}

each! {
    async fn dead(n: u32) -> Result<u32, TaskError> {
        std::future::ready(()).await;
        return Ok(n);
    }

    /// Changes a value that only its drop reads.
    pub async fn changes(mut held: Held, [a, b]: [u32; 2]) -> Result<u32, TaskError> {
        held.0 = 2;
        std::future::ready(()).await;
        Ok(a + b)
    }

    /// Not everything is used.
    pub async fn unused(mut first: u32, (second, _): (u32, u32), mut third: u32, _fourth: u32) -> Result<u32, TaskError> {
        third = 3;
        let mut never_changed = 1;
        std::future::ready(()).await;
        let third = third;
        Ok(third + never_changed + _fourth)
    }

    /// Takes its token.
    pub async fn token(token: &CancellationToken, text: String) -> Result<usize, TaskError> {
        let token = token.child_token();
        token.cancelled().await;
        let text = text.trim();
        Ok(text.len())
    }
}

macro_rules! whole {
    ($name:ident, $parameter:ident, $type:ty, $body:block) => {
        /// All of it is the macro's.
        #[tokio_supervised::supervised]
        pub async fn $name(mut $parameter: $type, other: u32, mut third: u32) -> Result<u32, TaskError> {
            std::future::ready(()).await;
            third = 1;
            $body;
            return Ok($parameter + third);
        }
    };
}

whole!(first, n, u32, { println!("{}", 1) });
whole!(second, _n, u32, {
    let n = 1;
});
