//! From YAML and JSON text to objects: everything absent, null or malformed is settled here, once.
pub mod networkpolicy;
pub mod node;

mod field;
mod selector;
mod validation;
