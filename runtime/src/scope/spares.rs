//! Handles on a scope's token that runs have given back.
//!
//! To make and to drop a handle takes the token's lock, for which all threads of a scope would fight; what an
//! ended run gives back is given to the next one, under the lock that the scope takes for them anyway.

use tokio_util::sync::CancellationToken;

#[derive(Default)]
pub(super) struct Spares(Vec<CancellationToken>);

impl Spares {
    /// Enough for what ends at once as a rule.
    const MOST: usize = 32;

    pub(super) fn take(&mut self) -> Option<CancellationToken> {
        self.0.pop()
    }

    /// Gives back what is too much, or another token's, to be dropped outside of the lock.
    pub(super) fn keep(
        &mut self,
        spare: Option<CancellationToken>,
        of: &CancellationToken,
    ) -> Option<CancellationToken> {
        match spare {
            Some(spare) if self.0.len() < Self::MOST && spare == *of => {
                self.0.push(spare);
                None
            }
            surplus => surplus,
        }
    }
}
