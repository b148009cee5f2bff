//! `weightsmith zoo show`

use clap::Args;
use serde_json::{Value, json};

use crate::zoo::{Descent, Origin, Record, Score, Zoo};

use super::{
    super::{Common, Exit, Failure, print, print_json},
    ZooArgs, parent, percent, start,
};

/// Show everything that is known of a graph's checkpoints or of one checkpoint.
#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    zoo: ZooArgs,
    /// Fingerprint of a graph or hash of a checkpoint's tensors, or the start of one
    #[arg(value_name = "FINGERPRINT|SHA")]
    id: String,
}

impl Show {
    pub(super) fn run(&self, common: &Common) -> Result<Exit, Failure> {
        let zoo = self.zoo.open()?;
        let records = zoo.find(&self.id)?;
        if common.json {
            let object = |record| object(&zoo, record);
            let records: Result<Vec<Value>, serde_json::Error> =
                records.into_iter().map(object).collect();
            print_json(&json!({ "schema": 1, "records": records? }))?;
            return Ok(Exit::Success);
        }
        for record in records {
            print(&text(&zoo, record))?;
        }
        Ok(Exit::Success)
    }
}

/// A record with its fingerprint as files are called (JSON has no numbers of 64 bits), and with what was made of it.
fn object(zoo: &Zoo, record: &Record) -> Result<Value, serde_json::Error> {
    let mut object = serde_json::to_value(record)?;
    object["children"] = zoo.children(record).map(|child| json!(child.tensors)).collect();
    object["fingerprint"] = json!(format!("{:016x}", record.fingerprint));
    Ok(object)
}

fn text(zoo: &Zoo, record: &Record) -> String {
    let origin = match &record.origin {
        Origin::Space { space, seed } => format!("space {space}, seed {seed}"),
        Origin::File(name) => name.clone(),
    };
    let score = |score: Option<Score>| match score {
        Some(Score { loss, accuracy }) => format!("loss {loss:.3}, top-1 {}", percent(accuracy)),
        None => "not measured".to_owned(),
    };
    let recipe = record.recipe.as_ref().map_or_else(
        || "not known".to_owned(),
        |recipe| {
            let training = &recipe.training;
            format!(
                "{:?}, {:?} over {} steps, rate {}, {} images a step, seed {}",
                training.optimiser,
                training.schedule,
                recipe.steps,
                training.rate,
                training.batch,
                recipe.seed
            )
            .to_lowercase()
        },
    );
    let mut lines = vec![
        record.tensors.clone(),
        format!("  graph       {:016x} ({origin})", record.fingerprint),
        format!("  parent      {}", parent(record.lineage.as_ref())),
        format!("  step        {}", record.step),
        format!("  recipe      {recipe}"),
        format!("  training    {}", score(record.train)),
        format!("  validation  {}", score(record.validation)),
        format!("  values      {}", record.parameters),
        format!("  data        {}", record.data_hash),
        format!("  licence     {}", record.licence),
    ];
    lines.extend(record.alignment.map(|distance| format!("  alignment   {distance:.4}")));
    if let Some(Descent { base_models, relation: Some(relation), .. }) = &record.descent {
        let here = |file: &String| match zoo.imported_from(file).next() {
            Some(base) => start(&base.tensors).to_owned(),
            None => format!("file {} (not in this zoo)", start(file)),
        };
        let bases: Vec<String> = base_models.iter().map(here).collect();
        lines.push(format!("  {relation:<10}  of {}", bases.join(", ")));
    }
    let children: Vec<&str> = zoo.children(record).map(|child| start(&child.tensors)).collect();
    if !children.is_empty() {
        lines.push(format!("  children    {}", children.join(", ")));
    }
    lines.join("\n")
}
