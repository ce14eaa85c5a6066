//! Joins the four crates below it and talks to people. A library only so that tests and fuzz targets can reach
//! its parts; the product is the binary.

pub mod config;
pub mod verbs;
