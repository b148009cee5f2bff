//! Exports of torchvision and timm classifiers without weights, as `tests/python/check_exports.py`
//! makes them: everything in them is known, and every parameter has a shape and a use.

use std::path::Path;

use weightsmith::{
    graph::{Architecture, Role},
    onnx::Model,
    ops::{Registry, resolve},
};

/// Name, values as PyTorch counts them with running statistics (less what folding removes), and
/// tensors that are neither weights of layers nor of normalisations.
const EXPORTS: [(&str, usize, usize); 6] = [
    ("ecaresnet26t.torchscript", 14_014_366, 0),
    ("maxvit_2_stages.unfolded", 52_024, 4),
    ("mobilenetv4_conv_small.torchscript", 2_530_922, 0),
    ("skresnet18.unfolded", 11_464_138, 0),
    ("vit_2_layers.unfolded", 81_226, 2),
    ("vit_tiny_patch16_224.torchscript", 5_491_786, 2),
];

#[test]
fn weightless_exports_are_understood() {
    for (name, values, free) in EXPORTS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/exports");
        let model = Model::open(&folder.join(format!("{name}.onnx"))).unwrap();
        let mut architecture = Architecture::from_model(&model).unwrap();
        let resolution = resolve(&mut architecture, &Registry::standard()).unwrap();
        assert!(resolution.unsupported.is_empty(), "{name}: {:?}", resolution.unsupported);
        assert_eq!(architecture.inputs.len(), 1, "{name}");
        let (_, output) = architecture.outputs[0];
        assert_eq!(architecture.fact(output).unwrap().shape, Some(vec![1, 10]), "{name}");
        for parameter in &architecture.parameters {
            assert!(
                parameter.shape.is_some() && parameter.role().is_some(),
                "{name} {parameter:?}"
            );
        }
        let roles = architecture.parameters.iter().filter_map(|parameter| parameter.role());
        let found = (architecture.parameter_count(), roles.filter(|&r| r == Role::Free).count());
        assert_eq!(found, (values, free), "{name}");
    }
}
