"""Images in, faces out: what `facemask serve` answers is what `facemask predict --format json` says of the files."""

import base64
from pathlib import Path

import httpx
import psutil
import pytest

from facemask.inference.predictor import Face
from tests.bad_images import png, saved
from tests.dataset.test_jpeg_scans import many_scans
from tests.photos import head
from tests.serve.conftest import Predicted
from tests.serve.running import Running, receive_all, status_of, wait_until

pytestmark = pytest.mark.slow  # starts servers

Files = dict[str, Path]


def test_raw_bytes_get_the_answer_of_the_command(server: Running, files: Files, predicted: Predicted) -> None:
    content = files["three.jpg"].read_bytes()
    for kind in ("image/jpeg", "application/octet-stream", "application/x-www-form-urlencoded"):
        answer = server.client.post(
            "/predict", content=content, headers={"Content-Type": kind}, params={"name": "three.jpg"}
        )
        assert (answer.status_code, answer.json()) == (200, predicted("three.jpg"))
    assert len(predicted("three.jpg")[0]["faces"]) == 3


def test_a_form_with_several_images_gets_their_answers_in_order(
    server: Running, files: Files, predicted: Predicted
) -> None:
    names = ("one.png", "cut.jpg", "three.jpg")
    parts = [("any", (name, files[name].read_bytes())) for name in names]
    answer = server.client.post("/predict", files=parts)
    assert (answer.status_code, answer.json()) == (200, predicted(*names))
    assert answer.json()[1]["problem"] == "truncated"


def test_json_with_base64_gets_the_same_answers(server: Running, files: Files, predicted: Predicted) -> None:
    names = ("three.jpg", "one.png")
    images = [{"name": name, "data": base64.b64encode(files[name].read_bytes()).decode()} for name in names]
    answer = server.client.post("/predict", json={"images": images})
    assert (answer.status_code, answer.json()) == (200, predicted(*names))


def test_an_image_without_a_name_is_called_as_standard_input_is(server: Running, files: Files) -> None:
    (photo,) = server.client.post("/predict", content=files["one.png"].read_bytes()).json()
    assert photo["file"] == "-"


def test_face_crops_are_asked_for_in_the_request(server: Running, files: Files, predicted: Predicted) -> None:
    parts = {"image": ("one.png", files["one.png"].read_bytes())}
    answer = server.client.post("/predict", files=parts, params={"faces": "crop"})
    assert answer.json() == predicted("one.png", faces="crop")
    assert answer.json()[0]["faces"][0]["box"] is None


def test_each_answer_names_the_version_and_the_revision_of_the_model(server: Running, files: Files) -> None:
    ask, (version,) = server.client, server.client.get("/v2/models/facemask").json()["versions"]
    answers = [ask.get("/healthz"), ask.get("/nowhere"), ask.post("/predict", content=b"x")]
    answers.append(ask.post("/predict", content=files["one.png"].read_bytes()))
    assert [answer.status_code for answer in answers] == [200, 404, 422, 200]
    assert {answer.headers["x-model-version"] for answer in answers} == {version}
    assert {answer.headers["x-model-revision"] for answer in answers} == {"abc1234"}


FORM = "multipart/form-data; boundary=b"
PART = b'--b\r\nContent-Disposition: form-data; name="a"'


@pytest.mark.parametrize(
    ("content", "kind", "status", "sentence"),
    [
        (b"", "image/jpeg", 422, "the body is empty"),
        (b"no picture", "image/jpeg", 422, "no image could be used: -: not an image"),
        (saved(head(200))[:900], "image/jpeg", 422, "no image could be used: -: truncated"),
        (png(60_000, 60_000, b""), "image/png", 422, "-: too large (more than 50 megapixels, --max-megapixels)"),
        (many_scans(1000), "image/jpeg", 422, "-: too many scans"),
        (b"<p>", "text/html", 415, "the type of the body must be multipart/form-data, application/json"),
        (b"{", "application/json", 422, "the JSON must be"),
        (b'{"images": []}', "application/json", 422, "images: List should have at least 1 item"),
        (b'{"images": [{"data": "*"}]}', "application/json", 422, "images.0.data is not base64"),
        (b"x", "multipart/form-data", 422, "needs a boundary"),
        (b"x", FORM, 422, "the multipart form is broken"),
        (PART + b'; filename="a"\r\n\r\nx', FORM, 422, "cut off"),
        (PART + b"\r\n\r\nx\r\n--b--", FORM, 422, "no file name"),
        (b"--b--", FORM, 422, "has no image"),
        (PART + b'; filename="a"\r\n\r\n' + 100_000 * b"\r\n--bX", FORM, 422, "--max-images"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_sentence(
    content: bytes, kind: str, status: int, sentence: str, server: Running
) -> None:
    answer = server.client.post("/predict", content=content, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert sentence in answer.json()["error"]


def test_a_compressed_bomb_in_a_small_png_is_not_unpacked(server: Running) -> None:
    before = psutil.Process(server.process.pid).memory_info().rss
    bomb = png(8, 8, bytes(100_000_000))
    answer = server.client.post("/predict", content=bomb, params={"faces": "crop"})
    assert answer.status_code in (200, 422)
    assert psutil.Process(server.process.pid).memory_info().rss - before < 50_000_000


@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), ("/predict?faces=x", 422), ("/predict", 405)])
def test_errors_of_the_address_are_sentences_too(path: str, status: int, server: Running) -> None:
    answer = server.client.request("GET" if status == 405 else "POST", path)
    assert answer.status_code == status
    assert len(answer.json()["error"].split()) > 4


def test_the_documentation_describes_requests_and_answers(server: Running, files: Files) -> None:
    document = server.client.get("/openapi.json").json()
    predict = document["paths"]["/predict"]["post"]
    assert {"image/*", "multipart/form-data", "application/json"} <= set(predict["requestBody"]["content"])
    for status in ("401", "408", "413", "415", "422", "429", "503"):
        assert predict["responses"][status]["content"]["application/json"]["schema"]["$ref"].endswith("/ErrorAnswer")
    schemas = document["components"]["schemas"]
    assert {"EncodedImages", "EncodedImage", "InferenceRequest", "InputTensor"} <= set(schemas)
    (photo,) = server.client.post("/predict", content=files["one.png"].read_bytes()).json()
    assert set(photo) == set(schemas["ImageAnswer"]["properties"])
    assert set(photo["faces"][0]) == set(schemas["FaceAnswer"]["properties"]) >= set(vars(Face(None, "", "", {})))
    assert server.client.get("/docs").status_code == 200


def test_without_a_page_there_is_a_link_to_the_documentation(server: Running) -> None:
    answer = server.client.get("/")
    assert (answer.status_code, "href='docs'" in answer.text) == (200, True)


def test_the_browser_page_is_shown(photo_export: Path, tmp_path: Path, files: Files) -> None:
    page = tmp_path / "page"
    page.mkdir()
    (page / "index.html").write_text("<h1>page</h1>")
    (tmp_path / "secret.txt").write_text("outside")
    running = Running(photo_export, tmp_path, "--page", str(page))
    assert running.client.get("/").text == "<h1>page</h1>"
    assert running.client.get("/..%2fsecret.txt").status_code == 404
    assert running.client.post("/predict", content=files["one.png"].read_bytes()).status_code == 200
    running.stop()


def test_the_figures_count_requests_images_and_faces(server: Running, files: Files) -> None:
    def figures() -> dict[str, float]:
        lines = server.client.get("/metrics").text.splitlines()
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}

    before = figures()
    server.client.post("/predict", files=[("a", (name, files[name].read_bytes())) for name in ("three.jpg", "cut.jpg")])
    server.client.get("/no/such/place")
    after = figures()

    def grown(name: str) -> float:
        return after[name] - before.get(name, 0)

    assert grown('facemask_requests_total{route="/predict",status="200"}') == 1
    assert grown('facemask_request_seconds_count{route="/predict"}') == 1
    assert grown('facemask_requests_total{route="other",status="404"}') == 1
    assert (grown('facemask_images_total{used="yes"}'), grown('facemask_images_total{used="no"}')) == (1, 1)
    assert sum(grown(name) for name in after if name.startswith("facemask_faces_total")) == 3
    assert after["facemask_requests_in_progress"] == 0
    assert any('revision="abc1234"' in name for name in after if name.startswith("facemask_model_info"))


def test_nothing_of_an_image_is_written_or_logged(server: Running, files: Files) -> None:
    parts = [("a", ("secret-name.jpg", files[name].read_bytes())) for name in ("three.jpg", "cut.jpg")]
    assert server.client.post("/predict", files=parts).status_code == 200
    server.client.post("/predict", content=b"secret", headers={"Content-Type": "multipart/form-data; boundary=b"})
    server.client.post("/predict?name=secret", content=b"secret")
    with server.connect() as connection:
        connection.sendall(b"secret\r\n\r\n")
        assert status_of(receive_all(connection)) == 400
    assert list(server.folder.rglob("*")) == []
    assert len(server.printed().splitlines()) == 1
    assert "secret" not in server.printed()


def test_tensorflow_is_not_loaded(server: Running) -> None:
    loaded = {Path(mapped.path).as_posix() for mapped in psutil.Process(server.process.pid).memory_maps()}
    assert any("ai_edge_litert" in path for path in loaded)
    assert not [path for path in loaded if "/tensorflow/" in path]


def test_a_client_that_leaves_does_no_harm(server: Running, files: Files) -> None:
    content = files["three.jpg"].read_bytes()
    head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content)}\r\n\r\n".encode()
    for sent in (head, head + content[:1000], head + content):
        with server.connect() as connection:
            connection.sendall(sent)
    wait_until(lambda: server.client.get("/metrics").text.count('status="499"') > 0)
    assert isinstance(server.client.post("/predict", content=content), httpx.Response)
    assert server.client.get("/healthz").json() == {"live": True}
