//! Mains that are configured at run time, and one whose attribute catches SIGHUP.

use std::{error::Error, fmt, future::pending, process::ExitCode, time::Duration};

use super::common::{say, wanted};
use tokio_supervised::{
    CancellationToken, Main, Pool, Signal, TaskError, Unfinished, supervised, task,
};

/// An error of the program, with its sources.
#[derive(Debug)]
enum Failure {
    Disk,
    Task(TaskError),
    Left(Unfinished),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("failed")
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Disk => None,
            Self::Task(error) => Some(error),
            Self::Left(error) => Some(error),
        }
    }
}

impl From<TaskError> for Failure {
    fn from(error: TaskError) -> Self {
        Self::Task(error)
    }
}

impl From<Unfinished> for Failure {
    fn from(error: Unfinished) -> Self {
        Self::Left(error)
    }
}

#[supervised]
async fn never() -> Result<(), TaskError> {
    pending().await
}

#[supervised(grace = "1s")]
async fn app(token: CancellationToken) -> Result<(), Failure> {
    match wanted().as_str() {
        "fails" => Err(Failure::Disk),
        "panics" => panic!("the app is broken"),
        "obeys" | "lingers" => {
            say("READY");
            token.cancelled().await;
            say("CANCELLED");
            Ok(())
        }
        "cancelled" => {
            say("READY");
            Ok(never(&token).await?)
        }
        "stubborn" => {
            say("READY");
            token.cancelled().await;
            pending().await
        }
        "drains" => {
            let pool = Pool::new(1);
            pool.spawn(task!("stuck", |_| async {
                pending::<()>().await;
                Ok::<_, TaskError>(())
            }))
            .await
            .expect("the pool is open");
            pool.drain(Duration::from_millis(10)).await?;
            Ok(())
        }
        "named" => {
            let name = || std::thread::current().name().unwrap_or_default().to_owned();
            let name = tokio::task::spawn_blocking(name).await;
            say(&name.expect("it does not panic"));
            Ok(())
        }
        body => panic!("no body `{body}`"),
    }
}

#[supervised::main(signals = "int term hup")]
async fn attribute(token: CancellationToken) -> Result<(), TaskError> {
    say("READY");
    match wanted().as_str() {
        "attribute obeys" => {
            token.cancelled().await;
            Ok(())
        }
        _ => never(&token).await,
    }
}

pub(crate) fn main() -> ExitCode {
    let main = Main::new().grace(Duration::from_secs(20));
    match wanted().as_str() {
        body if body.starts_with("attribute") => attribute(),
        "lingers" => main.linger(Duration::from_secs(1)).run(app),
        "named" => {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(1).thread_name("own-runtime");
            main.runtime(&mut builder).run(app)
        }
        "broken closure" => main.run(|token| {
            assert!(token.is_cancelled(), "the closure is broken");
            app(token)
        }),
        "hangup" => main.signals([Signal::Hangup]).run(task!("hangup", |token| async move {
            say("READY");
            token.cancelled().await;
            Ok::<_, TaskError>(())
        })),
        "own dump" => main.dump(false).run(task!("own dump", |token| async move {
            let mut asked =
                tokio::signal::unix::signal(tokio::signal::unix::SignalKind::user_defined1())
                    .expect("it can be caught");
            say("READY");
            _ = token.run_until_cancelled(asked.recv()).await;
            say("ASKED");
            Ok::<_, TaskError>(())
        })),
        _ => main.run(app),
    }
}
