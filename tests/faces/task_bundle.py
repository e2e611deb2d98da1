"""A ``face_landmarker.task`` made on the spot from the models inside MediaPipe's wheel.

A bundle is a zip of TFLite models, stored uncompressed, whose metadata say how pixels are scaled. The landmarker wants
478 points of its model; the wheel's plain face mesh gives 468, so a PAD operator appends ten points of zeros where
the irises would be. All else is the real graph with real weights.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import flatbuffers
import numpy as np

MESH_VALUES, LANDMARKER_VALUES = 468 * 3, 478 * 3


def task_bundle() -> bytes:
    """The bytes of the bundle."""
    import mediapipe

    modules = Path(mediapipe.__file__).parent / "modules"
    detector = (modules / "face_detection" / "face_detection_short_range.tflite").read_bytes()
    mesh = (modules / "face_landmark" / "face_landmark.tflite").read_bytes()
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as bundle:
        bundle.writestr("face_detector.tflite", _with_input_scaling(detector, mean=127.5, std=127.5))
        bundle.writestr("face_landmarks_detector.tflite", _with_input_scaling(_padded(mesh), mean=0, std=255))
    return content.getvalue()


def _with_input_scaling(model: bytes, *, mean: float, std: float) -> bytes:
    from mediapipe.tasks.python.metadata.metadata_writers import metadata_writer

    writer = metadata_writer.MetadataWriter.create(bytearray(model))
    writer.add_image_input([mean], [std])
    return bytes(writer.populate()[0])


def _padded(data: bytes) -> bytes:
    """The face mesh model with its landmarks padded to the landmarker's number of values; (landmarks, presence)."""
    from mediapipe.tasks.metadata import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(data, 0))
    graph = model.subgraphs[0]
    (landmarks,) = (k for k in graph.outputs if graph.tensors[k].shape[-1] == MESH_VALUES)
    (presence,) = (k for k in graph.outputs if k != landmarks)

    amounts = schema.BufferT()
    amounts.data = np.frombuffer(np.array([[0, 0]] * 3 + [[0, LANDMARKER_VALUES - MESH_VALUES]], "<i4").tobytes(), "u1")
    model.buffers.append(amounts)
    graph.tensors += [
        _tensor(schema, name="paddings", shape=[4, 2], kind=schema.TensorType.INT32, buffer=len(model.buffers) - 1),
        _tensor(schema, name="padded", shape=[1, 1, 1, LANDMARKER_VALUES], kind=schema.TensorType.FLOAT32, buffer=0),
    ]
    paddings, padded = len(graph.tensors) - 2, len(graph.tensors) - 1

    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.PAD
    code.version = 1
    model.operatorCodes.append(code)
    pad = schema.OperatorT()
    pad.opcodeIndex = len(model.operatorCodes) - 1
    pad.inputs, pad.outputs = np.array([landmarks, paddings], "i4"), np.array([padded], "i4")
    pad.builtinOptionsType, pad.builtinOptions = schema.BuiltinOptions.PadOptions, schema.PadOptionsT()
    graph.operators.append(pad)

    graph.outputs = np.array([padded, presence], "i4")
    model.metadata, model.signatureDefs = [], None
    builder = flatbuffers.Builder(len(data))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _tensor(schema, *, name: str, shape: list[int], kind: int, buffer: int):
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type, tensor.buffer = name, np.array(shape, "i4"), kind, buffer
    return tensor
