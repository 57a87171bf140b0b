//! What depends on the edition, in edition 2021: the forms of `src/forms.rs`, drop order, hygiene.

use supervised_edition_2021::forms;

mod calls;
#[path = "../../behaviour/drop_order.rs"]
mod drop_order;
#[path = "../../behaviour/hygiene.rs"]
mod hygiene;
