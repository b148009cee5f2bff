"""The package, on networks and images made here. `pytest python/tests` in an environment with the extra
`test`; a test whose libraries are missing says so."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import weightsmith

ROOT = Path(__file__).resolve().parents[2]
PLAIN = ROOT / "architectures" / "named" / "plain-cnn.onnx"


@pytest.fixture(scope="module")
def images():
    """Sixty noisy pictures of three kinds: slopes, rings and stripes; and their labels."""
    random = np.random.default_rng(0)
    row, column = np.mgrid[0:32, 0:32] / 8.0
    kinds = [row + column, np.hypot(row - 2, column - 2) * 3, np.sin(column * 5) * 2]
    labels = np.arange(60) % 3
    pictures = np.stack([np.sin(kinds[label]) for label in labels])
    pixels = 128 + 80 * pictures[..., None] + random.normal(0, 20, (60, 32, 32, 3))
    return pixels.clip(0, 255).astype(np.uint8), labels


def network(torch):
    """A small module with three outputs."""
    from torch import nn

    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 3),
    )


def test_an_onnx_file_is_filled_as_the_command_fills_it(tmp_path):
    filled = weightsmith.predict(PLAIN, seed=3)
    assert filled.complete and filled.report["parameters"]["skipped"] == 0
    command = [sys.executable, "-m", "weightsmith", "predict", str(PLAIN), "--out", str(tmp_path)]
    subprocess.run([*command, "--seed", "3", "-q"], check=True)
    written = (tmp_path / "plain-cnn.onnx").read_bytes()
    assert hashlib.sha256(filled.onnx_bytes()).digest() == hashlib.sha256(written).digest()
    state = filled.state_dict()
    assert {name: array.shape for name, array in state.items()} == filled.shapes
    assert all(np.isfinite(array).all() for array in state.values())
    in_memory = weightsmith.predict(PLAIN.read_bytes(), seed=3).state_dict()
    assert all(np.array_equal(state[name], array) for name, array in in_memory.items())


def test_refusals_are_exceptions_in_the_words_of_the_command(tmp_path):
    with pytest.raises(weightsmith.WeightsmithError, match="missing.onnx"):
        weightsmith.predict(tmp_path / "missing.onnx")
    with pytest.raises(weightsmith.WeightsmithError, match="neither"):
        weightsmith.predict(PLAIN, predictor="nobody")
    with pytest.raises(weightsmith.WeightsmithError, match="no score is called 'guess'"):
        weightsmith.rank(PLAIN, by="guess", cache=False)
    filled = weightsmith.predict(PLAIN)
    filled.save(tmp_path)
    with pytest.raises(weightsmith.WeightsmithError, match="exists"):
        filled.save(tmp_path)
    filled.save(tmp_path, overwrite=True)


def test_commands_answer_with_dictionaries(tmp_path):
    assert weightsmith.inspect(PLAIN)["parameter_count"] > 1000
    onnx, *_ = weightsmith.predict(PLAIN).save(tmp_path)
    assert weightsmith.verify(onnx, regenerate=PLAIN)["holds"]
    ranking = weightsmith.rank([PLAIN, onnx], by="synflow", cache=False)
    assert len(ranking) == 2 and ranking[0]["parameters"] == ranking[1]["parameters"]


def test_marks_are_seen_by_who_holds_their_key(tmp_path):
    keys = [tmp_path / name for name in ("own.key", "other.key")]
    for number, key in enumerate(keys):
        key.write_bytes(bytes([number]) * 32)
    graph = ROOT / "architectures" / "named" / "resnet-20.onnx"
    marked = weightsmith.predict(graph, watermark=keys[0])
    traced = weightsmith.trace(marked, predictors=["diffusion"], watermarks=keys)
    assert traced["verdict"] == "descends"
    own, other = traced["candidates"][0]["marks"]
    assert own["probability"] < 1e-9 and other["probability"] > 1e-3


def test_images_of_any_origin_are_the_same_data(images):
    from weightsmith._data import arrays

    pixels, labels = images
    floats = pixels.transpose(0, 3, 1, 2).astype(np.float32) / 255
    for data in [(pixels, labels), (floats, labels), list(zip(floats, labels, strict=True))]:
        same, also = arrays(data)
        assert np.array_equal(same, pixels) and np.array_equal(also, labels)
    with pytest.raises(ValueError, match="leave the normalisation out"):
        arrays((floats * 4 - 2, labels))
    with pytest.raises(ValueError, match="vector of integers"):
        arrays((pixels, labels + 0.5))
    with pytest.raises(ValueError, match="no images"):
        arrays([])
    torch = pytest.importorskip("torch")
    tensors = torch.utils.data.TensorDataset(torch.from_numpy(floats), torch.from_numpy(labels))
    loader = torch.utils.data.DataLoader(tensors, batch_size=7)
    for data in [tensors, loader]:
        same, also = arrays(data)
        assert np.array_equal(same, pixels) and np.array_equal(also, labels)


def test_a_module_is_filled_in_place_for_images_of_ones_own(images):
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    pixels, labels = images
    model = network(torch).train()
    report = weightsmith.fill_(model, torch.zeros(1, 3, 32, 32), (pixels, labels), support_steps=0)
    assert model.training and report.classes == ["0", "1", "2"]
    normalisation = report["provenance"]["normalisation"]
    mean, std = (np.array(normalisation[key], np.float32) for key in ("mean", "std"))
    inputs = torch.from_numpy(((pixels / 255 - mean) / std).transpose(0, 3, 1, 2).astype(np.float32))
    with torch.no_grad():
        right = (model.eval()(inputs).argmax(1).numpy() == labels).mean()
    assert right > 0.8
    again = network(torch)
    weightsmith.fill_(again, torch.zeros(1, 3, 32, 32), (pixels, labels), support_steps=0)
    same = zip(model.state_dict().values(), again.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in same)


def test_a_layer_under_two_names_is_filled_once():
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")

    class Named(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.body = network(torch)
            self.stem = self.body[0]

        def forward(self, x):
            return self.body(x)

    module = Named()
    assert {"stem.weight", "body.0.weight"} <= set(module.state_dict())
    before = module.stem.weight.clone()
    weightsmith.fill_(module, torch.zeros(1, 3, 32, 32))
    assert module.stem.weight is module.body[0].weight and not torch.equal(module.stem.weight, before)


def test_views_of_a_module_see_its_new_weights():
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    module, other = network(torch), network(torch)
    view, array = module[0].weight.detach()[1:], other[0].weight.detach().numpy()
    for filled in (module, other):
        weightsmith.fill_(filled, torch.zeros(1, 3, 32, 32))
    weight = module[0].weight.detach()
    assert torch.equal(view, weight[1:]) and view.untyped_storage().nbytes() == weight.numel() * 4
    assert np.array_equal(array, weight.numpy())


def test_a_module_that_is_refused_stays_as_it_was():
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    model = network(torch)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(weightsmith.WeightsmithError):
        weightsmith.fill_(model, torch.zeros(1, 3, 32, 32), predictor="nobody")
    with pytest.raises(weightsmith.WeightsmithError, match="cannot export"):
        weightsmith.fill_(model, torch.zeros(1, 4, 32, 32))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_evaluation_takes_images_in_memory(images):
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    from weightsmith._modules import exported

    with exported(network(torch), torch.zeros(1, 3, 32, 32)) as path:
        filled = weightsmith.predict(path, data=images, support_steps=0)
    result = weightsmith.evaluate(filled, images)
    assert result["images"] == 60 and result["top1"] > 0.8


def test_predictors_are_folders_as_on_the_hub(tmp_path):
    folder = ROOT / "predictors" / "cifar10"
    predictor = weightsmith.Predictor.from_pretrained(folder)
    predictor.save_pretrained(tmp_path)
    copy = weightsmith.Predictor(tmp_path)
    assert copy.config == json.loads((folder / "config.json").read_text())
    one, other = (weightsmith.predict(PLAIN, predictor=it).onnx_bytes() for it in (predictor, copy))
    assert one == other
    for nobody in ["nobody", "../nobody", tmp_path / "nobody"]:
        with pytest.raises(FileNotFoundError, match="neither a folder"):
            weightsmith.Predictor.from_pretrained(nobody)


def test_bundled_predictors_are_saved_as_their_folders(tmp_path):
    for name in weightsmith.BUNDLED:
        bundled = weightsmith.Predictor.from_pretrained(name)
        bundled.save_pretrained(tmp_path / name)
        folder = ROOT / "predictors" / name
        assert bundled.config == json.loads((folder / "config.json").read_text())
        for file in sorted((tmp_path / name).iterdir()):
            assert file.read_bytes() == (folder / file.name).read_bytes(), file


def test_predictors_are_trained_on_features_of_ones_own(tmp_path):
    random = np.random.default_rng(0)
    data = tmp_path / "noise.npz"
    images, labels = random.integers(0, 255, (100, 16, 16), dtype=np.uint8), np.arange(100) % 10
    np.savez(data, x_train=images, y_train=labels, x_test=images[:50], y_test=labels[:50])
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(f"""
name = "own"
space = "tiny"
data = "{data}"
out = "{tmp_path / 'run'}"
meta_batch = 1
batch = 16
graphs = 4
augmentation = "none"
[network]
trunk = 16
hidden = 16
calibration = 8
[network.encoder]
width = 16
heads = 2
layers = 1
further = ["is_convolution", "pixels"]
[optimiser]
learning_rate = 1e-3
warmup = 1
[[stages]]
steps = 2
size = 16
statistics = "calibration"
""")
    seen = []

    def features(node):
        seen.append(node["operator"])
        height = (node["outputs"][0] or [0])[-1]
        return node["operator"] == "Conv", height / 16

    encoder = weightsmith.NodeEncoder(["is_convolution", "pixels"], features)
    predictor, reached = weightsmith.train(recipe, encoder=encoder, progress=False)
    assert reached["step"] == 2 and "Conv" in seen
    assert predictor.config["network"]["encoder"]["further"] == list(encoder.names)
    grey = PLAIN.with_name("lenet-5.onnx")
    assert weightsmith.predict(grey, predictor=predictor, encoder=encoder).state_dict()
    with pytest.raises(weightsmith.WeightsmithError, match="further node features"):
        weightsmith.predict(grey, predictor=predictor)
    with pytest.raises(ValueError, match="returns 1 numbers for the 2 features"):
        weightsmith.predict(grey, predictor=predictor, encoder=weightsmith.NodeEncoder(encoder.names, lambda node: [0.0]))
    wrong = weightsmith.NodeEncoder(encoder.names, lambda node: node["colour"])
    with pytest.raises(KeyError, match="colour"):
        weightsmith.predict(grey, predictor=predictor, encoder=wrong)


def test_it_imports_at_once_and_without_torch():
    script = (
        "import sys, time, numpy; start = time.perf_counter(); import weightsmith; "
        "print(time.perf_counter() - start, 'torch' in sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    seconds, torch_is_there = printed.stdout.split()
    assert float(seconds) < 0.3 and torch_is_there == "False"


@pytest.mark.parametrize(
    ("tutorial", "arguments", "says"),
    [
        ("own_data", [], "after 20 steps: "),
        ("rank_space", [], "multiply-accumulates"),
        ("own_predictor", ["40"], "random weights"),
        ("own_operator", [], "right: "),
    ],
)
def test_tutorials_run_as_they_stand(tutorial, arguments, says, tmp_path):
    for library in ["torch", "onnxscript", "matplotlib"]:
        pytest.importorskip(library)
    command = [sys.executable, str(ROOT / "python" / "tutorials" / f"{tutorial}.py"), str(tmp_path), *arguments]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert says in said, said
    assert (tmp_path / f"{tutorial}.png").stat().st_size > 10_000
