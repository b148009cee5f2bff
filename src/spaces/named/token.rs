//! Networks over sequences of patches.

use crate::spaces::build::{Conv, GraphBuilder, Value};

use super::CLASSES;

/// A small vision transformer: patches of 4 × 4 pixels, width 64, four pre-norm blocks of four
/// heads, hidden layers of 256, the mean token classified.
pub(super) fn vit_tiny(net: &mut GraphBuilder, image: &Value) -> Value {
    let x = patch_tokens(net, "patch_embed", image, 64);
    let mut x = net.positions("pos_embed", &x);
    for block in 0..4 {
        let at = &format!("blocks.{block}");
        let y = net.layer_norm(&format!("{at}.norm1"), &x);
        let y = net.attention(&format!("{at}.attn"), &y, 4);
        x = net.add(at, &x, &y);
        let y = net.layer_norm(&format!("{at}.norm2"), &x);
        let y = net.feed_forward(&format!("{at}.mlp"), &y, 256);
        x = net.add(at, &x, &y);
    }
    classify_mean(net, &x)
}

/// A small MLP-Mixer: patches of 4 × 4 pixels, width 128, four blocks whose hidden layers are 64
/// wide across the tokens and 512 across the channels: half and four times, as in the paper.
pub(super) fn mixer_tiny(net: &mut GraphBuilder, image: &Value) -> Value {
    let mut x = patch_tokens(net, "stem.proj", image, 128);
    for block in 0..4 {
        let at = &format!("blocks.{block}");
        let y = net.layer_norm(&format!("{at}.norm1"), &x);
        let y = across_tokens(net, at, &y, 64);
        x = net.add(at, &x, &y);
        let y = net.layer_norm(&format!("{at}.norm2"), &x);
        let y = net.feed_forward(&format!("{at}.mlp_channels"), &y, 512);
        x = net.add(at, &x, &y);
    }
    classify_mean(net, &x)
}

/// 4 × 4 pixels to a token.
fn patch_tokens(net: &mut GraphBuilder, path: &str, image: &Value, width: usize) -> Value {
    let patches = Conv { out: width, kernel: 4, stride: 4, groups: 1, bias: true };
    let x = net.patches(path, image, patches);
    net.tokens("", &x)
}

/// A hidden layer of `wide` over the tokens, each channel by itself.
fn across_tokens(net: &mut GraphBuilder, at: &str, x: &Value, wide: usize) -> Value {
    let [tokens, _] = x.extent.unwrap_or([1, 1]);
    let turned = net.transpose(at, x, &[0, 2, 1]);
    let turned = Value { channels: tokens, extent: Some([x.channels, 1]), ..turned };
    let y = net.feed_forward(&format!("{at}.mlp_tokens"), &turned, wide);
    let Value { name, depth, .. } = net.transpose(at, &y, &[0, 2, 1]);
    Value { name, depth, ..*x }
}

fn classify_mean(net: &mut GraphBuilder, x: &Value) -> Value {
    let x = net.layer_norm("norm", x);
    let x = net.mean_token("", &x);
    net.linear("head", &x, CLASSES)
}
