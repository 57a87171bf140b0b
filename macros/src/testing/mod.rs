//! Tests of whole macros, and helpers of the unit tests.

#[cfg(test)]
mod cookbook;
#[cfg(test)]
mod defaults;
#[cfg(test)]
pub(crate) mod refusals;
#[cfg(test)]
mod robustness;
#[cfg(test)]
mod snapshots;
#[cfg(test)]
mod ui_cases;
#[cfg(test)]
mod value_oracle;
