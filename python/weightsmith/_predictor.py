"""Predictors: bundled ones, folders, and repositories of the Hugging Face Hub."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

from ._native import BUNDLED, bundled_files

#: What the folder of a predictor holds.
FILES = ("config.json", "model.safetensors", "README.md", "outlook.json", "*.sketch", "*.toml")


#: How the Hub names a repository.
REPOSITORY = re.compile(r"\w[\w.-]*/\w[\w.-]*")


class Predictor:
    """What writes weights: the name of a bundled predictor, or a folder as the Hub lays it out."""

    def __init__(self, source: str | os.PathLike[str]) -> None:
        self.source = os.fspath(source)
        if self.source not in BUNDLED and not Path(self.source, "config.json").is_file():
            raise FileNotFoundError(
                f"{self.source}: neither a folder with config.json and model.safetensors nor one of "
                f"the bundled predictors {', '.join(BUNDLED)}"
            )

    @classmethod
    def from_pretrained(
        cls, source: str | os.PathLike[str], *, revision: str | None = None
    ) -> Predictor:
        """A bundled predictor by name, a folder, or a repository of the Hub, which is downloaded
        (``pip install weightsmith[hub]``) at a revision."""
        name = os.fspath(source)
        # Only `owner/name` can be a repository; anything else is a folder that is not there.
        if name in BUNDLED or Path(name).exists() or not REPOSITORY.fullmatch(name):
            return cls(name)
        try:
            from huggingface_hub import snapshot_download
        except ImportError as error:
            raise ImportError(
                f"{name} is no folder; repositories of the Hub need `pip install weightsmith[hub]`"
            ) from error
        return cls(snapshot_download(name, revision=revision, allow_patterns=list(FILES)))

    @property
    def config(self) -> dict[str, Any]:
        """``config.json``: classes, images, sizes, training."""
        if self.source in BUNDLED:
            text = bundled_files(self.source)["config.json"].decode()
        else:
            text = Path(self.source, "config.json").read_text()
        loaded: dict[str, Any] = json.loads(text)
        return loaded

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Copies the predictor into a folder that can be uploaded to the Hub as it is."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        if self.source in BUNDLED:
            for name, content in bundled_files(self.source).items():
                (target / name).write_bytes(content)
            return
        for pattern in FILES:
            for file in sorted(Path(self.source).glob(pattern)):
                shutil.copy2(file, target / file.name)

    def __repr__(self) -> str:
        return f"Predictor({self.source!r})"


def source_of(predictor: Predictor | str | os.PathLike[str] | None) -> str:
    """What the native side calls a predictor; the default one for none."""
    if predictor is None:
        return BUNDLED[0]
    return predictor.source if isinstance(predictor, Predictor) else os.fspath(predictor)
