//! Tests of whole macros, and what the unit tests share.

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
