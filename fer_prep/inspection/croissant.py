"""A dataset described in Croissant 1.0 (JSON-LD, MLCommons), so that catalogues and loaders can read what it is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from fer_prep.dataset.reader import DatasetFile
from fer_prep.dataset.schema import FORMAT_VERSION
from fer_prep.dataset_manifest import DatasetManifest
from fer_prep.digests import settings_digest
from fer_prep.samples_table import COLUMNS

CONTEXT: Final = Path(__file__).with_name("croissant_context.json")
"""The context that the Croissant 1.0 specification prescribes, literally."""

_TYPES: Final = {"str": "sc:Text", "u1": "sc:Integer", "u4": "sc:Integer", "f4": "sc:Float"}


def croissant(data: DatasetFile, *, description: str, known: Sequence[DatasetManifest]) -> dict[str, Any]:
    """The JSON-LD object. Croissant knows tables and no HDF5 yet: a field's ``column`` is its path in the file."""
    terms = {f"{manifest.title}: {manifest.licence.get('terms', 'unknown')}" for manifest in known}
    emotions = [{"classes/label": label, "classes/emotion": name} for label, name in enumerate(data.classes)]
    return {
        "@context": json.loads(CONTEXT.read_text(encoding="utf-8")),
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": data.path.stem,
        "description": description,
        "version": f"{FORMAT_VERSION}.0.0+{data.digest}.{settings_digest(data.settings)[:8]}",
        "license": sorted(terms) or ["unknown"],
        "citeAs": " ".join(sorted(manifest.citation.get("text", "") for manifest in known)),
        "creator": {"@type": "Organization", "name": data.created_by},
        "isLiveDataset": False,
        "distribution": [_file(path) for path in (data.path, *(data.path.parent / name for name in data.shard_names))],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "classes",
                "name": "classes",
                "dataType": "sc:Enumeration",
                "key": {"@id": "classes/label"},
                "field": [_field("classes/label", "sc:Integer"), _field("classes/emotion", "sc:Text")],
                "data": emotions,
            },
            {
                "@type": "cr:RecordSet",
                "@id": "samples",
                "name": "samples",
                "key": {"@id": "samples/id"},
                "field": _sample_fields(data),
            },
        ],
    }


def _file(path: Path) -> dict[str, Any]:
    with path.open("rb") as stream:
        check_sum = hashlib.file_digest(stream, "sha256").hexdigest()
    return {
        "@type": "cr:FileObject",
        "@id": path.name,
        "name": path.name,
        "contentUrl": path.name,
        "encodingFormat": "application/x-hdf5",
        "contentSize": f"{path.stat().st_size} B",
        "sha256": check_sum,
    }


def _sample_fields(data: DatasetFile) -> list[dict[str, Any]]:
    size = f"{data.height}, {data.width}"
    said = {"rgb": f"({size}, 3) uint8 sRGB", "depth": f"({size}) uint16, 0 is no data, larger is farther"}
    fields = [_stored(_field(f"samples/{name}", "sc:ImageObject", said[name]), data, name) for name in data.modalities]
    present = set(data.column_names())
    for column in COLUMNS:
        if column.name in present:
            about = _field(f"samples/{column.name}", _TYPES[column.kind], "x, y" if column.width == 2 else "")
            stored = _stored(about, data, f"samples/{column.name}")
            fields.append({**stored, "repeated": True} if column.width == 2 else stored)
    for scheme in data.landmark_schemes:
        names = ", ".join(data.landmarks(scheme).names[:100])
        about = _field(f"samples/landmarks-{scheme}", "sc:Float", f"x, y in pixel centres of {names}")
        fields.append({**_stored(about, data, f"landmarks/{scheme}/points_px"), "repeated": True})
    if data.soft_labels is not None:
        about = _field("samples/soft", "sc:Float", f"annotators' shares of {', '.join(data.classes)}")
        fields.append({**_stored(about, data, "labels/soft"), "repeated": True})
    return fields


def _field(identifier: str, data_type: str, description: str = "") -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": identifier,
        "name": identifier.split("/")[1],
        "dataType": data_type,
        **({"description": description} if description else {}),
    }


def _stored(field: dict[str, Any], data: DatasetFile, path: str) -> dict[str, Any]:
    """A field with the place of its values: the dataset at ``path`` of the HDF5 file."""
    return {**field, "source": {"fileObject": {"@id": data.path.name}, "extract": {"column": path}}}
