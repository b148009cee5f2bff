//! The operator table against tract: op by op, on whole real files, and by finite differences.

mod cases;
pub mod compare;
mod files;
mod measuring;
pub mod model;
mod mutations;
mod resolution;
mod table;
