//! Joins the four crates below it and talks to people. A library only so that tests and fuzz targets can reach
//! its parts; the product is the binary.

pub mod api;
pub mod clock;
pub mod config;
pub mod lines;
pub mod log;
pub mod resolve;
pub mod ring;
pub mod run;
pub mod screen;
pub mod seed_log;
pub mod state;
pub mod tell;
pub mod until;
pub mod verbs;
