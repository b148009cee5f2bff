"""The programs under test, called from Python, and the page that shows what came out."""

import json
import os
import re
import subprocess
import tempfile

from safetensors.numpy import load_file, save_file


class Tools:
    """Each call gives the exit code, what the program printed as JSON, and its last message."""

    def __init__(self, weightsmith, run_onnx=None):
        self.weightsmith, self.run_onnx = weightsmith, run_onnx

    def call(self, *command):
        # Drivers of graphics complain where this is not set, after all that the program says.
        environment = {"XDG_RUNTIME_DIR": tempfile.gettempdir(), **os.environ}
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=600, env=environment
        )
        # Colours of the terminal are no part of the message.
        last = re.sub(r"\x1b\[[0-9;]*m", "", (result.stderr.strip().splitlines() or [""])[-1])
        return result.returncode, result.stdout, last

    def inspect(self, path):
        code, out, error = self.call(self.weightsmith, "inspect", path, "--json")
        return code, json.loads(out) if out else {}, error

    def predict(self, path, out):
        code, out, error = self.call(self.weightsmith, "predict", path, "--out", out, "--json", "-q")
        return code, json.loads(out) if out else {}, error

    def rank(self, paths):
        code, out, error = self.call(self.weightsmith, "rank", *paths, "--json", "-q", "--no-cache")
        return code, json.loads(out) if out else {}, error

    def run(self, path, image, folder):
        save_file({"input": image}, folder / "images.safetensors")
        code, _, error = self.call(
            self.run_onnx, path, folder / "images.safetensors", folder / "logits.safetensors"
        )
        if code != 0:
            return None, error
        return next(iter(load_file(folder / "logits.safetensors").values())), ""


def put_into(path, mark, table):
    """Replaces what stands between the two marks of a page."""
    start, end = f"<!-- {mark} -->\n", f"<!-- /{mark} -->"
    before, rest = path.read_text().split(start)
    path.write_text(before + start + table + "\n" + end + rest.split(end)[1])
