"""The bill of materials against the schema of CycloneDX, the model card against the library of the Hub.

    pip install "cyclonedx-python-lib[json-validation]" huggingface_hub
    python tests/python/check_records.py FOLDER...

Each FOLDER is one that `predict` or `finetune` wrote.
"""

import hashlib
import json
import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from huggingface_hub import ModelCard


def check(folder):
    """What is wrong with the records of a folder."""
    text = (folder / "bom.json").read_text()
    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if problem:
        yield f"bom.json: {problem}"
    for component in json.loads(text)["components"]:
        if component["type"] == "file":
            found = hashlib.sha256((folder / component["name"]).read_bytes()).hexdigest()
            if component["hashes"][0]["content"] != found:
                yield f"bom.json: {component['name']} has another hash"
    card = ModelCard.load(folder / "README.md")
    if card.data.library_name != "weightsmith" or "onnx" not in card.data.tags:
        yield f"README.md: {card.data.to_dict()}"
    if not card.text.strip().startswith("# "):
        yield "README.md: no title"


def main():
    failed = 0
    for folder in map(Path, sys.argv[1:]):
        problems = list(check(folder))
        failed += bool(problems)
        print("FAIL" if problems else "ok  ", folder, *problems)
    return 1 if failed or len(sys.argv) < 2 else 0


if __name__ == "__main__":
    sys.exit(main())
