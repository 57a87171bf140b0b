//! A main with a custom report.

use std::process::{ExitCode, Termination};

use tokio_supervised::supervised;

struct Score(u8);

impl Termination for Score {
    fn report(self) -> ExitCode {
        println!("the score is {}", self.0);
        ExitCode::from(self.0)
    }
}

#[supervised::main(flavor = "multi_thread")]
pub(crate) async fn main() -> Score {
    Score(42)
}
