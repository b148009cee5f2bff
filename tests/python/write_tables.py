"""Writes the small data sets of tests/fixtures/data with NumPy and PyArrow.

    pip install numpy pillow pyarrow
    python tests/python/write_tables.py

`hub` is laid out as the library `datasets` uploads to the Hugging Face Hub. The image of row `n` has one
colour: red 10 n, green 0, blue 100; its class is n modulo the number of classes.
"""

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

DATA = Path(__file__).resolve().parents[1] / "fixtures" / "data"


def png(row):
    file = io.BytesIO()
    Image.new("RGB", (4, 3), (10 * row, 0, 100)).save(file, "PNG")
    return file.getvalue()


def struct(rows):
    return [{"bytes": png(row), "path": f"{row}.png"} for row in rows]


def write(path, columns, metadata=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), path, **options)


def hub(name, rows):
    features = {
        "image": {"_type": "Image"},
        "label": {"names": ["worm", "ant", "bee"], "_type": "ClassLabel"},
    }
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    labels = pa.array([row % 3 for row in rows], pa.int64())
    columns = {"image": struct(rows), "label": labels}
    write(DATA / "hub" / "data" / name, columns, metadata, row_group_size=5)


def main():
    hub("train-00000-of-00002.parquet", range(12))
    hub("train-00001-of-00002.parquet", range(12, 20))
    hub("test-00000-of-00001.parquet", range(20, 24))
    rows = range(20)
    fine = [row % 4 for row in rows]
    columns = {"img": struct(rows), "coarse_label": [row % 2 for row in rows], "fine_label": fine}
    options = {"use_dictionary": False, "data_page_version": "2.0", "compression": "zstd"}
    write(DATA / "whole.parquet", columns, **options)
    names = [None if row == 3 else ["bee", "ant"][row % 2] for row in range(8)]
    images = [None if row == 5 else png(row) for row in range(8)]
    write(DATA / "names-train.parquet", {"image": images, "label": names})
    write(DATA / "strange.parquet", {"text": ["a"], "score": [0.5]})

    pixels = np.arange(20 * 3 * 4, dtype=np.uint8)
    labels = np.arange(20) % 4
    np.savez_compressed(
        DATA / "keras.npz",
        x_train=pixels.reshape(20, 3, 4),
        y_train=labels.astype(np.uint8),
        x_test=pixels[:24].reshape(2, 3, 4),
        y_test=labels[:2].reshape(2, 1),
    )
    np.savez(DATA / "objects.npz", x=np.array([[1], [1, 2]], dtype=object), y=labels[:2])


main()
