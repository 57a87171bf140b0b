//! The forms of `src/forms.rs`, called in edition 2021.

use supervised_edition_2021::forms;

mod calls;
