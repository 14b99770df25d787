"""The tensors of KServe's V2 inference protocol (open inference protocol): face crops in, probabilities out.

Specification: https://github.com/kserve/open-inference-protocol, version 2, over HTTP with JSON, and its extension for
binary tensors.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from fastapi import HTTPException
from numpy.typing import NDArray
from pydantic import BaseModel, Field, ValidationError

from facemask.core.classes import CLASSES
from facemask.serve.uploads import validation_sentence

MODEL = "facemask"
PLATFORM = "tensorflow_lite"
EXTENSIONS = ["binary_tensor_data"]
HEADER_LENGTH = "Inference-Header-Content-Length"  # bytes of JSON before the binary tensors

_INPUT, _PROBABILITIES, _ANSWERS = "image", "probabilities", "answer"


class TensorMetadata(BaseModel):
    """Description of a tensor; -1 in its shape is any number of faces."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(BaseModel):
    """Description of the model."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]
    parameters: dict[str, str]


class RequestedOutput(BaseModel):
    """An output that the client asks for."""

    name: str
    parameters: dict[str, Any] = {}


class InputTensor(BaseModel):
    """An input tensor; its data is a list, flat or nested, or follows the JSON in binary form."""

    name: str
    datatype: str
    shape: list[int]
    data: list[Any] | None = None
    parameters: dict[str, Any] = {}


class InferenceRequest(BaseModel):
    """A request for predictions: one input `image`, UINT8 RGB, (faces, side, side, 3)."""

    id: str | None = None
    parameters: dict[str, Any] = {}
    inputs: list[InputTensor] = Field(min_length=1, max_length=1)
    outputs: list[RequestedOutput] | None = None


class OutputTensor(BaseModel):
    """An output tensor."""

    name: str
    datatype: str
    shape: list[int]
    data: list[Any] | None = None
    parameters: dict[str, Any] | None = None


class InferenceResponse(BaseModel):
    """The answer: `probabilities`, in the order of the classes, and `answer`, a class or `uncertain` for each face."""

    model_name: str
    model_version: str
    id: str | None = None
    parameters: dict[str, Any] = {}
    outputs: list[OutputTensor]


def describe_model(version: str, revision: str, side: int) -> ModelMetadata:
    """Return the metadata of the model."""
    return ModelMetadata(
        name=MODEL,
        versions=[version],
        platform=PLATFORM,
        inputs=[TensorMetadata(name=_INPUT, datatype="UINT8", shape=[-1, side, side, 3])],
        outputs=[
            TensorMetadata(name=_PROBABILITIES, datatype="FP32", shape=[-1, len(CLASSES)]),
            TensorMetadata(name=_ANSWERS, datatype="BYTES", shape=[-1]),
        ],
        parameters={"classes": ",".join(CLASSES), "revision": revision},
    )


def parse_request(
    body: bytes, header_length: str | None, side: int, most: int | None
) -> tuple[InferenceRequest, NDArray[np.uint8]]:
    """Return the request and its faces, uint8 (n, side, side, 3).

    Args:
        body: the whole body.
        header_length: what the header `HEADER_LENGTH` says; None if there is no such header.
        side: of the model's input, in pixels.
        most: faces allowed; None for any number.

    Raises:
        HTTPException: the request breaks the protocol, or its tensor is not what the model takes (422).
    """
    length = _length(header_length, len(body))
    try:
        request = InferenceRequest.model_validate_json(body[:length])
    except ValidationError as error:
        raise HTTPException(422, f"the request is not of the V2 protocol ({validation_sentence(error)})") from error
    tensor = request.inputs[0]
    for wanted in request.outputs or ():
        if wanted.name not in (_PROBABILITIES, _ANSWERS):
            raise HTTPException(422, f"there is no such output; the outputs are {_PROBABILITIES} and {_ANSWERS}")
    if (tensor.name, tensor.datatype) != (_INPUT, "UINT8"):
        raise HTTPException(422, f"the input must be called {_INPUT} and be of datatype UINT8")
    if len(tensor.shape) != 4 or tensor.shape[1:] != [side, side, 3] or tensor.shape[0] < 1:
        raise HTTPException(422, f"the shape of the input must be [faces, {side}, {side}, 3]")
    if most is not None and tensor.shape[0] > most:
        raise HTTPException(422, f"the input has more than {most} faces (--max-faces); send several requests")
    return request, _pixels(tensor, body[length:])


def answer_request(
    request: InferenceRequest, version: str, revision: str, probabilities: NDArray[np.float32], answers: Sequence[str]
) -> tuple[bytes, Mapping[str, str]]:
    """Return the body of the answer and its headers.

    Args:
        request: as parsed.
        version: of the model.
        revision: of the model.
        probabilities: (n, 3).
        answers: n.
    """
    tensors: dict[str, tuple[str, tuple[int, ...], list[Any], bytes]] = {
        _PROBABILITIES: ("FP32", probabilities.shape, probabilities.ravel().tolist(), probabilities.tobytes()),
        _ANSWERS: ("BYTES", (len(answers),), list(answers), b"".join(map(_counted, answers))),
    }
    wanted = request.outputs or [RequestedOutput(name=name) for name in tensors]
    all_binary = bool(request.parameters.get("binary_data_output"))
    outputs, binary = [], b""
    for output in wanted:
        datatype, shape, data, packed = tensors[output.name]
        tensor = OutputTensor(name=output.name, datatype=datatype, shape=list(shape))
        if output.parameters.get("binary_data", all_binary):
            tensor.parameters = {"binary_data_size": len(packed)}
            binary += packed
        else:
            tensor.data = data
        outputs.append(tensor)
    response = InferenceResponse(
        model_name=MODEL,
        model_version=version,
        id=request.id,
        parameters={"revision": revision, "classes": ",".join(CLASSES)},
        outputs=outputs,
    )
    text = json.dumps(response.model_dump(exclude_none=True)).encode()
    if not binary:
        return text, {"Content-Type": "application/json"}
    return text + binary, {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(len(text))}


def _length(header: str | None, body: int) -> int:
    if header is None:
        return body
    if not header.isdecimal() or int(header) > body:
        raise HTTPException(422, f"the header {HEADER_LENGTH} must be the number of bytes of the JSON in the body")
    return int(header)


def _pixels(tensor: InputTensor, binary: bytes) -> NDArray[np.uint8]:
    expected = int(np.prod(tensor.shape))
    if tensor.data is None:
        if len(binary) != expected or tensor.parameters.get("binary_data_size") != expected:
            raise HTTPException(422, f"the input needs `data`, or {expected} bytes and as much as `binary_data_size`")
        return np.frombuffer(binary, np.uint8).reshape(tensor.shape)
    try:
        values = np.asarray(tensor.data)
    except ValueError as error:
        raise HTTPException(422, "the lists in `data` differ in length") from error
    if values.dtype.kind not in "iu" or values.min(initial=0) < 0 or values.max(initial=0) > 255:
        raise HTTPException(422, "`data` must be whole numbers from 0 to 255")
    if values.size != expected or values.shape not in ((expected,), tuple(tensor.shape)):
        raise HTTPException(422, "`data` does not have the shape that the input names")
    return values.astype(np.uint8).reshape(tensor.shape)


def _counted(text: str) -> bytes:
    """Return a string as the extension has it: its length in four bytes, the lowest first, and UTF-8."""
    content = text.encode()
    return len(content).to_bytes(4, "little") + content
