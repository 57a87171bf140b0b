//! Behaviour that depends on the edition, in edition 2021: the forms of `src/`, drop order, hygiene.

#![expect(clippy::disallowed_methods, reason = "tests drive the crate from plain tasks")]

use supervised_edition_2021::{compositions, forms, restarts};

mod calls;
#[path = "compositions.rs"]
mod composition_calls;
#[path = "../../spec/behaviour/drop_order.rs"]
mod drop_order;
mod entries;
#[path = "../../spec/behaviour/hygiene.rs"]
mod hygiene;
#[path = "restarts.rs"]
mod restart_calls;
#[path = "../../spec/behaviour/restart_drop_order.rs"]
mod restart_drop_order;
