//! Networks without feature maps: over patches, and over the flattened image.

use super::{
    super::{
        build::{Conv, Pool, Value},
        plan::{Mixing, TokenPlan},
    },
    Layers,
};

impl Layers<'_> {
    /// Patches, pre-norm blocks, the class token or the mean token, a linear map.
    pub(super) fn tokens(&mut self, plan: &TokenPlan, image: &Value, classes: usize) -> Value {
        let TokenPlan { patch, width, class_token, positions, blocks, mixing, hidden } = *plan;
        let conv = Conv { out: width, kernel: patch, stride: patch, groups: 1, bias: true };
        let x = self.builder.patches("patch_embed.proj", image, conv);
        let mut x = self.builder.tokens("patch_embed", &x);
        if class_token {
            x = self.builder.class_token("cls_token", &x);
        }
        // Without a table of positions any number of tokens will do.
        let mut tokens = -1;
        if positions {
            tokens = x.area() as i64;
            x = self.builder.positions("pos_embed", &x);
        }
        let activation = self.theme.activation;
        for block in 0..blocks {
            let at = format!("blocks.{block}");
            let y = self.mixed_norm(&format!("{at}.norm1"), &x, mixing);
            let y = match mixing {
                Mixing::Attention(attention) => {
                    self.builder.attend(&format!("{at}.attn"), &y, attention, tokens)
                }
                Mixing::Linear { hidden } => {
                    self.builder.mix_tokens(&format!("{at}.mlp_tokens"), &y, hidden, activation)
                }
                Mixing::Affine => {
                    let y = self.builder.map_tokens(&format!("{at}.linear_tokens"), &y);
                    self.builder.layer_scale(&at, "ls1", &y)
                }
            };
            x = self.builder.add(&at, &x, &y);
            let y = self.mixed_norm(&format!("{at}.norm2"), &x, mixing);
            let mut y = self.builder.perceptron(&format!("{at}.mlp"), &y, hidden, activation);
            if mixing == Mixing::Affine {
                y = self.builder.layer_scale(&at, "ls2", &y);
            }
            x = self.builder.add(&at, &x, &y);
        }
        let x = self.mixed_norm("norm", &x, mixing);
        let x = match class_token {
            true => self.builder.first_token("", &x),
            false => self.builder.mean_token("", &x),
        };
        self.builder.linear("head", &x, classes)
    }

    /// What a way of mixing has in the place of norms.
    fn mixed_norm(&mut self, path: &str, x: &Value, mixing: Mixing) -> Value {
        match mixing {
            Mixing::Affine => self.builder.affine(path, x),
            Mixing::Attention(_) | Mixing::Linear { .. } => self.token_norm(path, x),
        }
    }

    /// Average pooling, hidden layers, a linear map.
    pub(super) fn layers(
        &mut self,
        pool: usize,
        widths: &[usize],
        image: &Value,
        classes: usize,
    ) -> Value {
        let mut x = image.clone();
        if pool > 1 {
            x = self.builder.pool("pool", &x, Pool::Average, [pool, pool, 0]);
        }
        x = self.builder.flatten("flatten", &x);
        for (index, &width) in widths.iter().enumerate() {
            x = self.builder.linear(&format!("layers.{index}.fc"), &x, width);
            x = self.norm(&format!("layers.{index}.norm"), &x);
            x = self.activate(&format!("layers.{index}.act"), &x);
        }
        self.builder.linear("fc", &x, classes)
    }
}
