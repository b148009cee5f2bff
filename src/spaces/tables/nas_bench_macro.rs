//! NAS-Bench-Macro: three stages of two, three and three layers.

use serde_json::{Map, Value};

use crate::spaces::build::Built;

use super::{Block, Code, Down, Format, Stage, build, plan};

/// Layers of a stage and the channels it returns.
const STAGES: [(usize, usize); 3] = [(2, 64), (3, 128), (3, 256)];
const LAYERS: usize = 8;

pub(super) const FORMAT: Format = Format {
    name: "NAS-Bench-Macro",
    target: "CIFAR-10 test accuracy, best epoch, mean of three seeds",
    records,
    code: |key| Chain::parse(key).map(Code::NasBenchMacro),
    accuracy: |record| record.get("mean_acc")?.as_f64(),
};

fn records(json: &Value) -> Option<&Map<String, Value>> {
    let map = json.as_object()?;
    map.keys().next().is_some_and(|key| Chain::parse(key).is_ok()).then_some(map)
}

/// What every layer is: 0 an identity, 1 and 2 inverted residuals of expansion 3 and 6 with kernels
/// of 3 and 5.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Chain([u8; LAYERS]);

impl Chain {
    /// From its digits. An identity that is not the first of its stage does nothing: those of a
    /// stage go last, so that equal networks are equal.
    pub(super) fn parse(key: &str) -> Result<Self, String> {
        let digits: Vec<u8> = key.bytes().map(|byte| byte.wrapping_sub(b'0')).collect();
        let mut digits: [u8; LAYERS] =
            digits.try_into().map_err(|_| format!("is not {LAYERS} digits"))?;
        if digits.iter().any(|digit| *digit > 2) {
            return Err("has other digits than 0, 1 and 2".to_owned());
        }
        let mut rest = digits.as_mut_slice();
        for (layers, _) in STAGES {
            let (stage, after) = rest.split_at_mut(layers);
            stage[1..].sort_by_key(|digit| *digit == 0);
            rest = after;
        }
        Ok(Self(digits))
    }

    pub(super) fn built(&self) -> Built {
        let mut digits = self.0.iter();
        let mut stages: Vec<Stage> = STAGES
            .iter()
            .map(|&(layers, width)| {
                let block = |digit: &u8| match digit {
                    0 => Block::Project { width },
                    1 => Block::Inverted { width, kernel: 3, expansion: 3 },
                    _ => Block::Inverted { width, kernel: 5, expansion: 6 },
                };
                let blocks = digits.by_ref().take(layers).map(block).collect();
                Stage { down: Some(Down::Stride), blocks, theme: None }
            })
            .collect();
        if let Some(last) = stages.last_mut() {
            last.blocks.push(Block::Plain { width: 1280, kernel: 1 });
        }
        build(&plan(32, stages), "nas-bench-macro")
    }
}
