//! The images of a data set as a network reads them.

use std::path::Path;

use crate::data::{Dataset, Split};

use super::{FillError, Network};

/// Images of a data set for a network.
#[derive(Clone, Debug)]
pub struct NetworkImages {
    /// With the channels that the network reads, and at their own size.
    pub data: Dataset,
    /// How they were read, and what is done to them before the network reads them, as sentences for the
    /// user.
    pub notices: Vec<String>,
}

impl NetworkImages {
    /// Opens a split of the data set at `path`.
    ///
    /// # Errors
    ///
    /// The network does not read images, or no others than of 1 × 1 pixel because the file leaves
    /// their size open; the data set cannot be read, or has no such split.
    pub fn open(path: &Path, split: Split, network: &Network) -> Result<Self, FillError> {
        let [channels, height, width] = network.image_shape()?;
        let data = Dataset::open(path, split)?;
        let mut notices = data.notices.clone();
        match (data.channels, channels) {
            (3, 1) => notices.push("coloured images are turned to grey for the network".to_owned()),
            (1, 3) => notices.push("grey images are turned to colour for the network".to_owned()),
            _ => {}
        }
        if [data.height, data.width] != [height, width] {
            notices.push(format!(
                "images of {} × {} (height × width) are resized to {height} × {width}",
                data.height, data.width
            ));
        }
        Ok(Self { data: data.with_channels(channels)?, notices })
    }
}
