//! A map takes its decisions again when their moment was missed.
