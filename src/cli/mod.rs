//! The command line: one file per subcommand, results for people or, with `--json`, for programs.
//!
//! Exit codes: 0 success, 1 negative result, 2 usage or bad input, 3 partial support or a dead network.

mod adapt;
mod audit;
mod bench;
mod corpus;
mod device;
mod drawn;
mod edit;
mod evaluate;
mod finetune;
mod flags;
mod inspect;
mod manual;
mod merge;
mod network;
mod output;
mod predict;
mod progress;
mod rank;
mod sign;
mod support;
mod trace;
mod train;
mod tuning;
mod verify;
#[cfg(feature = "remote")]
mod worker;
mod written;
mod zoo;

use std::{
    cell::RefCell,
    error::Error,
    ffi::OsString,
    io::Write,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use clap::{Args, Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use tracing_subscriber::EnvFilter;

/// How a command ended, as an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All that was asked for was done.
    Success = 0,
    /// The command ran and its answer is no (for example a run that was interrupted).
    Negative = 1,
    /// Usage or input is wrong; nothing was written.
    BadInput = 2,
    /// Part of the graph is not supported, or the filled network is not alive; the report says why.
    Partial = 3,
}

/// Any error a command can end with; printed as one line.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Reads a neural architecture as an ONNX graph and writes its weights without training it.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

/// Flags every command takes.
#[derive(Clone, Debug, Args)]
struct Common {
    /// Print the result as one JSON object
    #[arg(long, global = true)]
    json: bool,
    /// Seed of everything random [default: 0, or what a configuration says]
    #[arg(long = "seed", value_name = "SEED", global = true)]
    given_seed: Option<u64>,
    /// The seed that was given, or 0.
    #[arg(skip)]
    seed: u64,
    /// Say more (-v info, -vv debug); RUST_LOG overrides
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Say less: no progress bars, errors only
    #[arg(short, long, global = true)]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read a graph: operators, shapes, parameters, what is not supported
    Inspect(inspect::Inspect),
    /// Write the weights of a graph
    Predict(predict::Predict),
    #[command(name = "finetune")]
    FineTune(finetune::FineTune),
    Adapt(adapt::Adapt),
    /// Merge networks of one graph into one
    Merge(merge::Merge),
    /// Add to a network what others have learned beyond it, or take it away
    Edit(edit::Edit),
    /// Measure a filled network on a data set
    Evaluate(evaluate::Evaluate),
    /// Check a filled network against its report, and files against their signature
    Verify(verify::Verify),
    /// Find out whether a network is a copy, or what a predictor gives away of its images
    Audit(audit::Audit),
    /// Sign files with a key
    Sign(sign::Sign),
    /// Tell whether a network descends from a predictor, by its weights
    Trace(trace::Trace),
    /// Train a predictor
    Train(train::Train),
    /// Order graphs by how well they would do if somebody trained them
    Rank(rank::Rank),
    /// Compare predictors with baselines on held-out graphs
    Bench(bench::Bench),
    /// Generate and describe the graphs to learn from and to be judged by
    Corpus(corpus::Corpus),
    /// Grow checkpoints of many graphs from predictors, and look at them
    Zoo(zoo::ZooCommand),
    /// Print the completions of a shell
    Completions(manual::Completions),
    /// Write the man pages
    #[command(hide = true)]
    Manual(manual::Manual),
    /// Compute for `weightsmith train --worker`, here or on another machine
    #[cfg(feature = "remote")]
    Worker(worker::Worker),
}

/// Parses the command line, runs the command, prints its error.
pub fn main() -> ExitCode {
    ExitCode::from(run(std::env::args_os()))
}

/// As [`main`], with a command line of the caller's, the program's name first. Returns the exit code.
pub fn run(arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> u8 {
    let cli = Cli::parse_from(arguments);
    log_to_stderr(&cli.common);
    let exit = cli.run().unwrap_or_else(|failure| {
        eprintln!("error: {}", one_line(failure.as_ref()));
        Exit::BadInput
    });
    exit as u8
}

/// Runs a command for another program and returns what it prints on standard output.
///
/// # Errors
///
/// The command line is wrong, or the command fails.
pub fn answer(
    arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
) -> Result<(Exit, String), Failure> {
    let cli = Cli::try_parse_from(arguments)?;
    CAPTURED.set(Some(String::new()));
    let result = cli.run();
    let printed = CAPTURED.take().unwrap_or_default();
    Ok((result?, printed))
}

thread_local! {
    /// What a command on this thread has printed, where another program asked for it.
    static CAPTURED: RefCell<Option<String>> = const { RefCell::new(None) };
}

impl Cli {
    fn run(mut self) -> Result<Exit, Failure> {
        self.common.seed = self.common.given_seed.unwrap_or_default();
        let common = &self.common;
        match &self.command {
            Command::Inspect(command) => command.run(common),
            Command::Predict(command) => command.run(common),
            Command::FineTune(command) => command.run(common),
            Command::Merge(command) => command.run(common),
            Command::Edit(command) => command.run(common),
            Command::Evaluate(command) => command.run(common),
            Command::Adapt(command) => command.run(common),
            Command::Verify(command) => command.run(common),
            Command::Audit(command) => command.run(common),
            Command::Sign(command) => command.run(common),
            Command::Trace(command) => command.run(common),
            Command::Train(command) => command.run(common),
            Command::Rank(command) => command.run(common),
            Command::Bench(command) => command.run(common),
            Command::Corpus(command) => command.run(common),
            Command::Zoo(command) => command.run(common),
            Command::Completions(command) => command.run(common),
            Command::Manual(command) => command.run(common),
            #[cfg(feature = "remote")]
            Command::Worker(command) => command.run(common),
        }
    }
}

fn log_to_stderr(common: &Common) {
    let level = match (common.quiet, common.verbose) {
        (true, _) => "error",
        (_, 0) => "warn,weightsmith=info",
        (_, 1) => "info",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .without_time()
        .with_target(false)
        .init();
}

/// An error and its causes, joined.
pub fn one_line(error: &(dyn Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |&error| error.source());
    let texts: Vec<String> = chain.map(ToString::to_string).collect();
    texts.join(": ").replace('\n', " ")
}

/// A flag that Ctrl-C sets, for work that stops at a good place. A second Ctrl-C does not wait.
fn interrupt() -> Result<Arc<AtomicBool>, ctrlc::Error> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(Exit::Negative as i32);
        }
    })?;
    Ok(stop)
}

/// A bar of so many steps, with the time left; hidden where nobody would look at it.
fn bar(length: usize, common: &Common) -> ProgressBar {
    if common.quiet || common.json {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {eta} left");
    ProgressBar::new(length as u64).with_style(style.unwrap_or(ProgressStyle::default_bar()))
}

/// Prints a JSON object on one line.
fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    print(&serde_json::to_string(value)?)
}

/// Prints a line; a reader that closed the pipe is no error.
fn print(text: &str) -> Result<(), Failure> {
    let captured = CAPTURED.with_borrow_mut(|captured| {
        let captured = captured.as_mut()?;
        captured.push_str(text);
        captured.push('\n');
        Some(())
    });
    if captured.is_some() {
        return Ok(());
    }
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
