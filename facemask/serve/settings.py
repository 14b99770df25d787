"""Settings of `facemask serve`; imports no heavy module, so that `--help` stays quick."""

from dataclasses import dataclass, field
from pathlib import Path

from facemask.inference.options import Options

PAGE = Path("web")
HOST = "127.0.0.1"
PORT = 8000

MAX_BYTES = 20_000_000
MAX_MEGAPIXELS = 50.0
MAX_FACES = 64
MAX_IMAGES = 16
MAX_WAITING = 32
TIMEOUT = 30.0


@dataclass(frozen=True)
class Limits:
    """What a request may cost.

    Attributes:
        bytes: of the body, all images of a request together.
        images: in one request.
        waiting: requests that wait while others are worked on; one more is refused.
        seconds: for the arrival of a request, and again for its answer.
    """

    bytes: int = MAX_BYTES
    images: int = MAX_IMAGES
    waiting: int = MAX_WAITING
    seconds: float = TIMEOUT


@dataclass(frozen=True)
class Settings:
    """Settings of the server.

    Attributes:
        model: folder with the exported model.
        options: how faces are found, and the limits of an image.
        limits: what a request may cost.
        threads: images that are worked on at the same time.
        host: address to listen on.
        port: 0 for any free one.
        api_key: what clients must send; "" for no key. Not shown when the settings are printed.
        revision: git revision of the model; "" if unknown.
        page: folder with the browser page, shown at /; one without the page is left out.
    """

    model: Path
    options: Options
    limits: Limits = field(default_factory=Limits)
    threads: int = 1
    host: str = HOST
    port: int = PORT
    api_key: str = field(default="", repr=False)
    revision: str = ""
    page: Path = PAGE
