//! The named networks as a Markdown table.

use std::fmt::Write;

use weightsmith::spaces::{NAMED, Named, Published};

/// Classes that need not be mentioned: those of CIFAR-10, and of MNIST.
const CLASSES: usize = 10;

/// A row for each network.
pub fn markdown() -> String {
    let mut text = String::from(
        "| file | paper | input | parameters | published | MACs (M) | notes |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for named in NAMED {
        let Named { name, paper, link, input: [channels, height, width], notes, .. } = named;
        let paper = if paper.is_empty() { "ours".into() } else { format!("[{paper}]({link})") };
        let published = named.published.map_or("–".into(), |published| {
            let Published { millions, classes } = published;
            let classes = match classes {
                CLASSES => String::new(),
                more => format!(" ({more} classes)"),
            };
            format!("{millions} M{classes}")
        });
        let macs = named.multiply_accumulates() as f64 / 1e6;
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| [{name}](named/{name}.onnx) | {paper} | {channels} × {height} × {width} | {} | \
             {published} | {macs:.1} | {notes} |",
            grouped(named.parameters),
        );
    }
    text
}

/// A number with commas between thousands.
fn grouped(number: u64) -> String {
    match number {
        0..1_000 => number.to_string(),
        _ => format!("{},{:03}", grouped(number / 1_000), number % 1_000),
    }
}
