//! The model card, in Markdown with a head in YAML.

use std::fmt::{self, Write};

use crate::data::class_list;

use super::{
    super::{InputNormalisation, Provenance},
    accuracy::{Accuracy, accuracies},
    bom::limitations,
    own::MARK,
    written::Written,
};

/// The card of what was written.
pub(in super::super) fn card(written: &Written) -> String {
    let mut text = String::new();
    // Writing to a string never fails.
    let _ = head(&mut text, written).and_then(|()| body(&mut text, written));
    text
}

fn head(out: &mut String, written: &Written) -> fmt::Result {
    write!(out, "---\n{MARK}")?;
    if written.image.is_some() {
        out.write_str("pipeline_tag: image-classification\n")?;
    }
    out.write_str("tags:\n- onnx\n- safetensors\n- weight-generation\n")?;
    let datasets = &written.lineage.card.datasets;
    if !datasets.is_empty() {
        out.write_str("datasets:\n")?;
        // Text in JSON is text in YAML.
        datasets.iter().try_for_each(|name| writeln!(out, "- {}", serde_json::json!(name)))?;
    }
    out.write_str("metrics:\n- accuracy\n---\n")
}

fn body(out: &mut String, written: &Written) -> fmt::Result {
    let report = written.report();
    let Provenance { predictor, predictor_hash, seed, device, weights, tool, .. } =
        &report.provenance;
    let Provenance { drawn, support, finetuned, normalisation, .. } = &report.provenance;
    let file = plain(&written.networks[0].files[0].name);
    writeln!(out, "# {}\n", plain(written.stem))?;
    writeln!(
        out,
        "The weights of `{file}` are {} (predictor `{}`). [weightsmith](https://github.com/weightsmith/weightsmith) wrote them.\n",
        plain(weights),
        plain(predictor)
    )?;

    writeln!(out, "## Use\n\n```python\nimport onnxruntime\n")?;
    writeln!(out, "session = onnxruntime.InferenceSession(\"{file}\")")?;
    writeln!(
        out,
        "scores = session.run(None, {{session.get_inputs()[0].name: images}})[0]\n```\n"
    )?;
    if let Some([channels, height, width]) = written.image {
        write!(out, "`images` is an array of float32 of shape [n, {channels}, {height}, {width}]")?;
        match normalisation {
            Some(InputNormalisation { mean, std }) => writeln!(
                out,
                ": pixels from 0 to 1, then `(pixel - mean) / std` with mean {mean:?} and standard deviation {std:?}.\n"
            )?,
            None => writeln!(out, ".\n")?,
        }
    }
    if let Some(classes) = &report.classes {
        writeln!(out, "The scores stand for {}.\n", plain(&class_list(classes)))?;
    }

    writeln!(out, "## Accuracy\n")?;
    let accuracies = accuracies(report);
    if accuracies.is_empty() {
        writeln!(out, "Not known: measure it with `weightsmith evaluate {file} --data DATA`.")?;
    }
    for Accuracy { value, range, of } in accuracies {
        write!(out, "- {:.1} %", 100.0 * value)?;
        if let Some([low, high]) = range {
            write!(out, " ({:.1}–{:.1})", 100.0 * low, 100.0 * high)?;
        }
        writeln!(out, ": {}", plain(&of))?;
    }

    let limitations = limitations(report);
    if !limitations.is_empty() {
        writeln!(out, "\n## Limits\n")?;
        limitations.iter().try_for_each(|it| writeln!(out, "- {}", plain(it)))?;
    }

    writeln!(out, "\n## Data and terms\n")?;
    let card = &written.lineage.card;
    match &card.data {
        Some(data) => writeln!(out, "- The predictor was trained on: {}", plain(data))?,
        None => writeln!(out, "- What the predictor was trained on is not recorded here.")?,
    }
    if let Some(licence) = &card.licence {
        writeln!(out, "- Licence of the predictor: {}", plain(licence))?;
    }
    if let Some(support) = support {
        writeln!(
            out,
            "- Fitted to labelled images of whoever made this: {}",
            plain(&support.to_string())
        )?;
    }
    if let Some(tuned) = finetuned {
        writeln!(
            out,
            "- Trained on labelled images of whoever made this: {}",
            plain(&tuned.to_string())
        )?;
    }

    writeln!(out, "\n## Origin\n\n| | |\n|---|---|")?;
    let mut rows = vec![
        ("network", format!("`{}`, SHA-256 `{}`", plain(&report.input.name), report.input.sha256)),
        ("predictor", format!("`{}`, SHA-256 `{predictor_hash}`", plain(predictor))),
        ("seed", seed.to_string()),
        ("computed on", plain(device)),
        ("tool", plain(tool)),
    ];
    rows.extend(drawn.map(|drawn| ("drawn", plain(&drawn.to_string()))));
    rows.iter().try_for_each(|(name, value)| writeln!(out, "| {name} | {value} |"))?;
    writeln!(
        out,
        "\n`weightsmith verify {file}` compares the file with its report, `bom.json` lists all of this for programs.\n"
    )?;

    writeln!(out, "| file | what it is | SHA-256 |\n|---|---|---|")?;
    written.files().try_for_each(|(file, what)| {
        writeln!(out, "| `{}` | {what} | `{}` |", plain(&file.name), file.sha256)
    })
}

/// A text in one line that changes nothing of the page around it.
fn plain(text: &str) -> String {
    let plain = |character: char| match character {
        '`' => '\'',
        '|' => '/',
        '<' => '‹',
        '>' => '›',
        control if control.is_control() => ' ',
        other => other,
    };
    text.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_the_page() {
        assert_eq!(plain("a`b|c\nd<e>"), "a'b/c d‹e›");
    }
}
