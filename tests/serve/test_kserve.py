"""Face crops as tensors, by KServe's V2 protocol, get the probabilities of the classifier."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facemask.core.classes import CLASSES
from facemask.dataset.decode import resize
from facemask.inference.predictor import Classifier
from tests.conftest import SMALL
from tests.photos import masked, one_face
from tests.serve.running import Running

pytestmark = pytest.mark.slow  # starts a server

INFER = "/v2/models/facemask/infer"


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    return np.stack([resize(picture, SMALL) for picture in (one_face(), masked(), one_face()[:200])])


def request(crops: np.ndarray, **more: Any) -> dict[str, Any]:
    tensor = {"name": "image", "datatype": "UINT8", "shape": list(crops.shape), "data": crops.ravel().tolist()}
    return {"inputs": [{**tensor, **more}]}


def test_health_and_metadata_follow_the_protocol(server: Running) -> None:
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/facemask/ready", "/healthz", "/readyz"):
        assert server.client.get(path).status_code == 200
    assert server.client.get("/v2").json().keys() == {"name", "version", "extensions"}
    model = server.client.get("/v2/models/facemask").json()
    assert model["inputs"] == [{"name": "image", "datatype": "UINT8", "shape": [-1, SMALL, SMALL, 3]}]
    assert [output["name"] for output in model["outputs"]] == ["probabilities", "answer"]
    assert (model["parameters"]["classes"].split(","), model["parameters"]["revision"]) == (list(CLASSES), "abc1234")


def test_a_tensor_gets_the_probabilities_of_the_classifier(
    server: Running, photo_export: Path, crops: np.ndarray
) -> None:
    classifier = Classifier(photo_export)
    right = classifier.probabilities(crops)
    for data in (crops.ravel().tolist(), crops.tolist()):
        answer = server.client.post(INFER, json={**request(crops, data=data), "id": "7"}).json()
        assert (answer["id"], answer["model_name"]) == ("7", "facemask")
        probabilities, answers = answer["outputs"]
        assert (probabilities["datatype"], probabilities["shape"]) == ("FP32", [3, 3])
        np.testing.assert_array_equal(np.float32(probabilities["data"]).reshape(3, 3), right)
        assert answers["data"] == classifier.decision.answers(right)


def test_binary_tensors_get_the_same(server: Running, photo_export: Path, crops: np.ndarray) -> None:
    asked = request(crops, data=None, parameters={"binary_data_size": crops.nbytes})
    asked["outputs"] = [{"name": "probabilities", "parameters": {"binary_data": True}}]
    head = json.dumps(asked).encode()
    length = {"Inference-Header-Content-Length": str(len(head))}
    answer = server.client.post(INFER, content=head + crops.tobytes(), headers=length)
    end = int(answer.headers["Inference-Header-Content-Length"])
    (output,) = json.loads(answer.content[:end])["outputs"]
    assert output["parameters"] == {"binary_data_size": len(answer.content) - end}
    found = np.frombuffer(answer.content[end:], np.float32).reshape(output["shape"])
    np.testing.assert_array_equal(found, Classifier(photo_export).probabilities(crops))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"name": "x"}, "must be called image"),
        ({"datatype": "FP32"}, "datatype UINT8"),
        ({"shape": [1, 8, 8, 3]}, f"[faces, {SMALL}, {SMALL}, 3]"),
        ({"shape": [10**12, SMALL, SMALL, 3]}, "--max-faces"),
        ({"shape": [2, SMALL, SMALL, 3]}, "does not have the shape"),
        ({"data": [300] * 3072 * 3}, "whole numbers from 0 to 255"),
        ({"data": [0.5] * 3072 * 3}, "whole numbers from 0 to 255"),
        ({"data": ["a"] * 3072 * 3}, "whole numbers from 0 to 255"),
        ({"data": [[1], [1, 2]]}, "differ in length"),
        ({"data": None}, "needs `data`"),
        ({"shape": "x"}, "V2 protocol"),
    ],
)
def test_a_wrong_tensor_is_refused_with_a_sentence(
    change: dict[str, Any], sentence: str, server: Running, crops: np.ndarray
) -> None:
    answer = server.client.post(INFER, json=request(crops, **change))
    assert answer.status_code == 422
    assert sentence in answer.json()["error"]
