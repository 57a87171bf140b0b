//! Everything that a stranger or a bug can pile up has a bound.
