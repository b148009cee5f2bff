//! Metrics as JSON lines.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::FileError;

use super::TrainError;

/// One line of `metrics.jsonl`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Metric {
    /// Means over the steps since the last such line.
    Train {
        /// Optimiser steps taken.
        step: u64,
        /// Task loss.
        loss: f64,
        /// Training accuracy of predicted networks on their batches.
        accuracy: f64,
        /// The same of the members' mean probabilities, where there are several of a graph.
        #[serde(skip_serializing_if = "Option::is_none")]
        together: Option<f64>,
        /// Loss of episodes, where there are any.
        #[serde(skip_serializing_if = "Option::is_none")]
        episode_loss: Option<f64>,
        /// Accuracy on the images that solved heads leave out, where there are episodes.
        #[serde(skip_serializing_if = "Option::is_none")]
        episode_accuracy: Option<f64>,
        /// Mean squared error of recovered checkpoints, standardised, where there are any.
        #[serde(skip_serializing_if = "Option::is_none")]
        recovery: Option<f64>,
        /// Norm of the gradient.
        gradient_norm: f64,
        /// Learning rate.
        rate: f64,
        /// Architecture-steps per second.
        architecture_steps_per_second: f64,
        /// Networks skipped so far.
        skipped: u64,
        /// Bytes of memory that the process holds, where the system says.
        #[serde(skip_serializing_if = "Option::is_none")]
        resident_memory: Option<u64>,
    },
    /// The moving average on held-out graphs and held-out training images.
    Validation {
        /// Optimiser steps taken.
        step: u64,
        /// Space of the graphs.
        space: String,
        /// Height and width of the images.
        size: usize,
        /// Top-1 in inference mode with the statistics that an export would carry.
        exported: f64,
        /// Top-1 with the statistics of the validation images themselves.
        batch_statistics: f64,
        /// The worst graph, in inference mode.
        worst: f64,
        /// Top-1 of heads that are solved on episodes of held-out images, where there are any.
        #[serde(skip_serializing_if = "Option::is_none")]
        episodes: Option<f64>,
    },
}

/// Appends metrics to `metrics.jsonl`.
#[derive(Debug)]
pub struct MetricsLog {
    path: PathBuf,
    file: File,
}

impl MetricsLog {
    /// Opens the log of a run for appending.
    pub fn open(folder: &Path) -> Result<Self, TrainError> {
        let path = folder.join("metrics.jsonl");
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(FileError::at(&path))?;
        Ok(Self { path, file })
    }

    /// Appends one line.
    pub fn write(&mut self, metric: &Metric) -> Result<(), TrainError> {
        serde_json::to_string(metric)
            .map_err(std::io::Error::from)
            .and_then(|line| writeln!(self.file, "{line}"))
            .map_err(FileError::at(&self.path))?;
        Ok(())
    }
}
