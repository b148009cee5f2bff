//! How well `trace` tells networks of the bundled predictors from others after changes that people make, and marks of two
//! keys from each other; and how well `audit` tells copies from independent networks. On small held-out graphs:
//!
//! ```sh
//! cargo run --release --example measure_records -- trace DATA OUT.jsonl [--graphs N] [--shard I/N] [--foreign DIR]
//! cargo run --release --example measure_records -- table OUT.jsonl ...
//! cargo run --release --example measure_records -- audit DATA [--graphs N]
//! ```
//!
//! Networks are trained for 200 steps, marked ones for 50, on the first training images of DATA, which has as many classes as
//! the graphs. `trace` writes a line for each graph and for each network of DIR, and goes on where it was cut off.

mod audit;
mod changes;
mod graphs;
mod table;
mod trace;

use std::{error::Error, path::PathBuf};

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Trace networks of ours and of others
    Trace(trace::TraceArgs),
    /// Print what was traced as a table
    Table {
        /// What `trace` has written
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Audit planted copies and independent networks
    Audit(audit::AuditArgs),
}

fn main() -> Result<(), Box<dyn Error>> {
    match Arguments::parse().action {
        Action::Trace(arguments) => arguments.run(),
        Action::Table { files } => table::print(&files),
        Action::Audit(arguments) => arguments.run(),
    }
}
