//! What the live graph says by itself.

use crate::rank::{Live, Score, ScoreError, Subject};

/// A figure of the live graph.
struct Static {
    name: &'static str,
    about: &'static str,
    of: fn(&Live) -> f64,
}

impl Score for Static {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn of(&self, subject: &Subject) -> Result<f64, ScoreError> {
        Ok((self.of)(&subject.live))
    }
}

pub(in crate::rank) fn scores() -> Vec<Box<dyn Score>> {
    let all = [
        Static {
            name: "parameters",
            about: "learned values that live nodes read",
            of: |live| live.parameters as f64,
        },
        Static {
            name: "flops",
            about: "multiply-accumulates of live nodes; the complexity of AZ-NAS",
            of: |live| live.multiply_accumulates as f64,
        },
        Static {
            name: "layers",
            about: "live nodes with weights",
            of: |live| live.layers.len() as f64,
        },
        Static {
            name: "spatial-layers",
            about: "live convolutions larger than a pixel",
            of: |live| live.spatial_layers as f64,
        },
        Static {
            name: "learned-mixing",
            about: "of the live nodes past the first layer that mix neighbouring pixels at one \
                    resolution, convolutions and pools, the share that learns",
            of: |live| {
                let mixing = live.inner_spatial_layers + live.inner_pools;
                live.inner_spatial_layers as f64 / mixing.max(1) as f64
            },
        },
        Static {
            name: "clear-path",
            about: "minus the fewest pools and lone pointwise convolutions at one resolution that a live \
                    path meets",
            of: |live| -(live.obstacles as f64),
        },
        Static {
            name: "depth",
            about: "nodes with weights on the longest live path",
            of: |live| live.depth as f64,
        },
        Static {
            name: "shortest-path",
            about: "nodes with weights on the shortest live path",
            of: |live| live.shortest as f64,
        },
        Static {
            name: "shortest-spatial-path",
            about: "convolutions larger than a pixel on the live path that has the fewest",
            of: |live| live.shortest_spatial as f64,
        },
        Static {
            name: "width",
            about: "mean binary logarithm of the output channels of live layers",
            of: |live| live.log_width,
        },
        Static {
            name: "resolution",
            about: "mean binary logarithm of the pixels, or tokens, that live layers return",
            of: |live| live.log_resolution,
        },
        Static {
            name: "activations",
            about: "values that live layers return (Radosavovic et al. 2020)",
            of: |live| live.activations as f64,
        },
        Static {
            name: "head-width",
            about: "values that each logit is computed from",
            of: |live| live.head_width as f64,
        },
        Static {
            name: "live-share",
            about: "of the nodes that compute something from the image, the share that matters",
            of: |live| live.nodes.len() as f64 / (live.nodes.len() + live.dead).max(1) as f64,
        },
    ];
    all.into_iter().map(|score| Box::new(score) as Box<dyn Score>).collect()
}
