//! Words and blocks, with line and column. Knows no word's meaning, names nobody, depends on nothing.

pub mod form;
