//! `weightsmith completions` and `weightsmith manual`: what shells, `man` and the documentation say of
//! the commands, made from the same definitions that parse them.

use std::{
    fmt::Write as _,
    io,
    path::{Path, PathBuf},
};

use clap::{Args, Command, CommandFactory};
use clap_complete::Shell;

use crate::onnx::atomic;

use super::{Cli, Common, Exit, Failure, print};

/// Print the completions of a shell
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self, _common: &Common) -> Result<Exit, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "weightsmith", &mut script);
        print(&String::from_utf8_lossy(&script))?;
        Ok(Exit::Success)
    }
}

/// Write the man pages, weightsmith.1 and one for every command, or the page docs/commands.md
#[derive(Debug, Args)]
pub(super) struct Manual {
    /// Folder for the man pages, or a file whose name ends in .md
    #[arg(long, value_name = "DIR|FILE.md")]
    out: PathBuf,
}

impl Manual {
    pub(super) fn run(&self, _common: &Common) -> Result<Exit, Failure> {
        let without_help = |command: Command| command.disable_help_subcommand(true);
        let mut command = without_help(Cli::command()).mut_subcommands(without_help);
        command.build();
        let written = match self.out.extension() {
            Some(extension) if extension == "md" => {
                let page = markdown(&command);
                atomic::write(&self.out, |out| out.write_all(page.as_bytes()))
            }
            _ => man_pages(command, &self.out),
        };
        written.map_err(|error| format!("{}: {error}", self.out.display()))?;
        print(&format!("wrote {}", self.out.display()))?;
        Ok(Exit::Success)
    }
}

fn man_pages(command: Command, folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(command, folder)
}

/// Every command with what `--help` says of it.
fn markdown(command: &Command) -> String {
    let mut page = String::from(
        "# Commands\n\n\
         Made by `weightsmith manual --out docs/commands.md` from the definitions that parse the command line.\n",
    );
    for command in leaves(command) {
        let help = command.clone().render_long_help().to_string();
        let name = command.get_bin_name().unwrap_or(command.get_name());
        let help: Vec<&str> = help.lines().map(str::trim_end).collect();
        let _ = write!(page, "\n## `{name}`\n\n```text\n{}\n```\n", help.join("\n").trim_end());
    }
    page
}

/// The visible commands that do something, in the order of `--help`.
fn leaves(command: &Command) -> Vec<&Command> {
    let visible = |it: &&Command| !it.is_hide_set();
    let further: Vec<&Command> = command.get_subcommands().filter(visible).collect();
    let works = further.is_empty() || command.is_args_conflicts_with_subcommands_set();
    let own = works.then_some(command);
    own.into_iter().chain(further.into_iter().flat_map(leaves)).collect()
}
