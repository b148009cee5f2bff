//! The bill of materials: CycloneDX 1.6 for machine-learning models. The same weights have the same bill, so it holds
//! no time of day.

use serde_json::{Value, json};

use crate::{data::class_list, onnx::sha256};

use super::{
    super::{FileHash, InputNormalisation, Provenance, Report},
    accuracy::{Accuracy, accuracies},
    lineage::Ancestor,
    written::Written,
};

/// How parts of the bill call the images that weights were fitted to or trained on.
const LABELLED: &str = "labelled-images";

/// The bill of what was written.
pub(in super::super) fn bom(written: &Written) -> Value {
    let report = written.report();
    let files = written.files().map(|(file, what)| of_file(file, what));
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial_number(written),
        "version": 1,
        "metadata": {
            "tools": { "components": [{
                "type": "application",
                "name": env!("CARGO_PKG_NAME"),
                "version": env!("CARGO_PKG_VERSION"),
            }] },
            "component": model(written, report),
        },
        "components": files.chain(labelled_images(&report.provenance)).collect::<Vec<_>>(),
    })
}

/// The network itself.
fn model(written: &Written, report: &Report) -> Value {
    let Provenance { predictor, seed, device, weights, drawn, support, finetuned, .. } =
        &report.provenance;
    let property = |name: &str, value: String| json!({ "name": format!("weightsmith:{name}"), "value": value });
    let mut properties = vec![
        property("predictor", predictor.clone()),
        property("seed", seed.to_string()),
        property("device", device.clone()),
    ];
    properties.extend(drawn.map(|drawn| property("drawn", drawn.to_string())));
    properties.extend(support.as_ref().map(|it| property("support", it.to_string())));
    properties.extend(finetuned.as_ref().map(|it| property("finetuned", it.to_string())));
    let input = json!({
        "type": "file",
        "name": report.input.name,
        "description": "the network that was filled",
        "hashes": hashes(&report.input.sha256),
    });
    let ancestors = written.lineage.ancestors.iter().map(|it| ancestor(it, written));
    json!({
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": written.stem,
        "description": weights,
        "hashes": hashes(&written.networks[0].files[0].sha256),
        "modelCard": model_card(written, report),
        "pedigree": { "ancestors": ancestors.chain([input]).collect::<Vec<_>>() },
        "properties": properties,
    })
}

fn ancestor(ancestor: &Ancestor, written: &Written) -> Value {
    let Ancestor { name, relation, sha256 } = ancestor;
    let mut value = json!({
        "type": "machine-learning-model",
        "name": name,
        "description": format!("{relation}; the hash is of config.json followed by model.safetensors"),
        "hashes": hashes(sha256),
    });
    let nearest = written.lineage.ancestors.first();
    if let Some(licence) = &written.lineage.card.licence
        && nearest.is_some_and(|nearest| nearest.name == *name)
    {
        value["licenses"] = json!([{ "license": { "name": licence } }]);
    }
    value
}

fn model_card(written: &Written, report: &Report) -> Value {
    let mut parameters = json!({ "datasets": data_sets(written, report) });
    if let Some([channels, height, width]) = written.image {
        parameters["task"] = json!("image-classification");
        let normalised = match &report.provenance.normalisation {
            Some(InputNormalisation { mean, std }) => {
                format!(", (pixel - {mean:?}) / {std:?} with pixels from 0 to 1")
            }
            None => String::new(),
        };
        let format = format!("images [n, {channels}, {height}, {width}]{normalised}");
        parameters["inputs"] = json!([{ "format": format }]);
    }
    if let Some(classes) = &report.classes {
        parameters["outputs"] = json!([{ "format": format!("scores of {}", class_list(classes)) }]);
    }
    let metric = |Accuracy { value, range, of }: Accuracy| {
        let mut metric = json!({ "type": "accuracy", "value": rounded(value), "slice": of });
        if let Some([low, high]) = range {
            metric["confidenceInterval"] =
                json!({ "lowerBound": rounded(low), "upperBound": rounded(high) });
        }
        metric
    };
    json!({
        "modelParameters": parameters,
        "quantitativeAnalysis": {
            "performanceMetrics": accuracies(report).into_iter().map(metric).collect::<Vec<_>>(),
        },
        "considerations": { "technicalLimitations": limitations(report) },
    })
}

/// What the predictor learned from, and what the weights were fitted to.
fn data_sets(written: &Written, report: &Report) -> Vec<Value> {
    let card = &written.lineage.card;
    let named = |name: &String| json!({ "type": "dataset", "name": name });
    let mut all: Vec<Value> = card.datasets.iter().map(named).collect();
    all.extend(card.data.as_ref().map(|terms| {
        json!({
            "type": "dataset",
            "name": "training data of the predictor",
            "description": terms,
        })
    }));
    all.extend(labelled_hash(&report.provenance).map(|_| json!({ "ref": LABELLED })));
    all
}

/// The labelled images of whoever filled or trained the network.
fn labelled_images(provenance: &Provenance) -> Option<Value> {
    labelled_hash(provenance).map(|hash| {
        json!({
            "type": "data",
            "bom-ref": LABELLED,
            "name": "labelled images",
            "description": "what the weights were fitted to; the hash is of the decoded images and labels",
            "hashes": hashes(hash),
        })
    })
}

fn labelled_hash(provenance: &Provenance) -> Option<&str> {
    let support = provenance.support.as_ref().map(|it| it.data_hash.as_str());
    support.or(provenance.finetuned.as_ref().map(|it| it.data_hash.as_str()))
}

/// What is wrong with the network, and what the user should know.
pub(super) fn limitations(report: &Report) -> Vec<String> {
    let findings = report.sanity_check.findings.iter().map(ToString::to_string);
    findings.chain(report.notices.iter().chain(&report.unsupported).cloned()).collect()
}

fn of_file(file: &FileHash, what: &str) -> Value {
    json!({
        "type": "file",
        "bom-ref": format!("file:{}", file.name),
        "name": file.name,
        "description": what,
        "hashes": hashes(&file.sha256),
    })
}

/// A hash as the bill has it; none where a file claims something else to be one.
fn hashes(sha256: &str) -> Value {
    match sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => json!([{ "alg": "SHA-256", "content": sha256 }]),
        false => json!([]),
    }
}

fn rounded(share: f64) -> String {
    format!("{share:.4}")
}

/// A UUID (version 8) of the files.
fn serial_number(written: &Written) -> String {
    let all: String = written.files().map(|(file, _)| file.sha256.as_str()).collect();
    let hex = sha256(all.as_bytes());
    format!(
        "urn:uuid:{}-{}-8{}-8{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..15],
        &hex[15..18],
        &hex[18..30]
    )
}
