//! Progress bars: how work that takes a while is watched on a terminal.

use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};

use crate::observer::{Observer, Silent};

use super::Common;

/// A bar for work that counts so-called units; none where nobody would look at it.
pub(super) fn watch(unit: &str, common: &Common) -> Arc<dyn Observer> {
    if common.quiet || common.json {
        return Arc::new(Silent);
    }
    let template = format!("{{bar:30}} {{pos}}/{{len}} {unit}, {{eta}} left {{msg}}");
    let style = ProgressStyle::with_template(&template).unwrap_or(ProgressStyle::default_bar());
    Arc::new(Bar(ProgressBar::no_length().with_style(style)))
}

#[derive(Debug)]
struct Bar(ProgressBar);

impl Observer for Bar {
    fn begin(&self, steps: u64, done: u64) {
        self.0.set_length(steps);
        self.0.set_position(done);
        self.0.reset_eta();
    }

    fn advance(&self, steps: u64) {
        self.0.inc(steps);
    }

    fn say(&self, message: &str) {
        self.0.set_message(message.to_owned());
    }

    fn end(&self) {
        self.0.finish_and_clear();
    }
}
