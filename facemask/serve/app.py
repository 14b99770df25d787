"""The HTTP API: routes, their documentation, and what surrounds every request."""

import asyncio
import io
import logging
import secrets
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from importlib.metadata import version
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import ClientDisconnect
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from facemask.dataset.decode import MAX_MEGAPIXELS
from facemask.inference.inputs import STANDARD_INPUT
from facemask.inference.predictor import TOO_MANY_FACES, Prediction
from facemask.inference.writers import Json
from facemask.serve import kserve
from facemask.serve.engine import Busy, Engine, Model
from facemask.serve.metrics import CONTENT_TYPE, Metrics
from facemask.serve.settings import Settings
from facemask.serve.uploads import JSON, LATER, MULTIPART, RAW, Bodies, EncodedImages, Upload, is_raw, unpack
from facemask.web.server import PAGE

VERSION_HEADER = "X-Model-Version"
REVISION_HEADER = "X-Model-Revision"
KEY_HEADER = "X-API-Key"
_SCHEMAS = "#/components/schemas/{model}"

_LAST_LIMIT = 3  # time limits: to arrive, to be answered, to be taken by the client
_OF_THE_ADDRESS = {
    404: "there is nothing at this address; /docs lists all",
    405: "this address does not take this method; /docs lists all",
}
_CLIENT_GONE = 499  # nginx's status for a client that went before its answer

logger = logging.getLogger(__name__)


class FaceBox(BaseModel):
    """Edges of a face in pixels of the upright image; a face at the border may reach beyond it."""

    left: float
    top: float
    right: float
    bottom: float


class FaceAnswer(BaseModel):
    """Prediction for one face."""

    box: FaceBox | None = Field(description="Null if the image was treated as one cropped face.")
    score: float | None = Field(description="How sure the detector is, 0 to 1.")
    answer: str = Field(description="A class, `uncertain` or `too small`.")
    label: str = Field(description="The predicted class, also if `answer` is `uncertain`; empty if `too small`.")
    probabilities: dict[str, float] = Field(description="Calibrated; by class.")


class ImageAnswer(BaseModel):
    """Predictions for one image: what `facemask predict --format json` says of a file."""

    file: str
    width: int
    height: int
    faces: list[FaceAnswer] = Field(description="From left to right.")
    problem: str = Field(description="Why the image could not be used; empty if it could.")


class ErrorAnswer(BaseModel):
    """What went wrong, in a sentence."""

    error: str


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _SCHEMAS.format(model=model.__name__)}


_ERRORS: dict[int | str, dict[str, Any]] = {
    401: {"description": "No API key, or a wrong one.", "model": ErrorAnswer},
    408: {"description": "The request took too long to arrive.", "model": ErrorAnswer},
    413: {"description": "The request is too large.", "model": ErrorAnswer},
    415: {"description": "The body is of an unknown type.", "model": ErrorAnswer},
    422: {"description": "No image of the request could be used, or a limit was exceeded.", "model": ErrorAnswer},
    429: {"description": "Too many requests wait.", "model": ErrorAnswer},
    503: {"description": "The answer took too long, or the server is overloaded.", "model": ErrorAnswer},
}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            **{kind: {"schema": {"type": "string", "format": "binary"}} for kind in RAW},
            MULTIPART: {
                "schema": {
                    "type": "object",
                    "properties": {"image": {"type": "array", "items": {"type": "string", "format": "binary"}}},
                }
            },
            JSON: {"schema": _reference(EncodedImages)},
        },
    }
}


def create_app(settings: Settings, engine: Engine) -> FastAPI:
    """Return the application that answers for an engine."""
    metrics = Metrics(lambda: engine.requests)
    metrics.use_model(engine.model.version, engine.model.revision)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        following = asyncio.create_task(
            engine.follow_files(lambda: _report_reload(engine.model, metrics)), name="follow the files of the model"
        )
        yield
        following.cancel()
        engine.close()

    app = FastAPI(
        title="facemask",
        summary="Find the faces in images and tell how each wears its mask.",
        version=version("facemask-pipeline"),
        lifespan=lifespan,
    )
    app.add_middleware(_Surrounding, engine=engine, metrics=metrics, seconds=_LAST_LIMIT * settings.limits.seconds)
    app.openapi = lambda: _documented(app)  # type: ignore[method-assign] # FastAPI's own way to add to it
    app.add_exception_handler(StarletteHTTPException, _say)
    app.add_exception_handler(RequestValidationError, _say_invalid)
    allowed = [Depends(_key_check(settings.api_key))] if settings.api_key else []
    app.include_router(_health(engine))
    app.include_router(_prediction(settings, engine, metrics), dependencies=allowed)
    if (settings.page / PAGE).is_file():
        app.mount("/", StaticFiles(directory=settings.page, html=True), name="page")
    else:
        app.get("/", include_in_schema=False)(_no_page)
    return app


def _health(engine: Engine) -> APIRouter:
    """Return the routes that say whether the server works; they need no key."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz", summary="Whether the process works", responses={503: _ERRORS[503]})
    @router.get("/v2/health/live", summary="Whether the process works (V2)", responses={503: _ERRORS[503]})
    async def live() -> dict[str, bool]:
        if engine.stuck:
            raise HTTPException(503, "an image has been worked on for too long; restart the server")
        return {"live": True}

    @router.get("/readyz", summary="Whether images are answered")
    @router.get("/v2/health/ready", summary="Whether images are answered (V2)")
    @router.get(f"/v2/models/{kserve.MODEL}/ready", summary="Whether the model answers (V2)")
    async def ready() -> dict[str, bool]:
        return {"ready": True}

    return router


def _prediction(settings: Settings, engine: Engine, metrics: Metrics) -> APIRouter:
    """Return the routes that answer with the model."""
    router = APIRouter()
    bodies = Bodies(settings.limits)

    @router.post(
        "/predict",
        summary="Find and classify the faces in images",
        responses={200: {"model": list[ImageAnswer]}, **_ERRORS},
        openapi_extra=_BODY,
        tags=["images"],
    )
    async def predict(
        request: Request,
        faces: Annotated[
            Literal["find", "crop"], Query(description="Detect faces, or treat each image as one cropped face.")
        ] = settings.options.faces,
        name: Annotated[
            str, Query(description="What the answer calls an image that is sent as raw bytes.", max_length=1000)
        ] = STANDARD_INPUT,
    ) -> Response:
        """Answer with what `facemask predict --format json` says of the same files, in their order.

        An image that cannot be used has the reason in `problem`. If none can be used, the status is 422.
        """
        model: Model = request.state.model
        if faces == "find" and not model.finds_faces:
            raise HTTPException(422, "this server has no face detector; send face crops and ask with faces=crop")
        content_type = request.headers.get("content-type", "")
        async with bodies.read(request) as body:
            with _admitted(engine):
                async with _in_time(settings.limits.seconds):
                    given = (body, content_type, name, settings.limits)
                    uploads = unpack(*given) if is_raw(content_type) else await engine.run(unpack, *given)
                    predictions = await _predict(engine, model, uploads, faces == "crop")
        for prediction in predictions:
            metrics.predicted(prediction)
        if all(prediction.problem for prediction in predictions):
            raise HTTPException(422, _no_image_used(predictions, settings))
        return Response(_as_json(predictions), media_type=JSON)

    @router.get("/metrics", summary="Figures for Prometheus", tags=["health"], response_class=Response)
    async def figures() -> Response:
        return Response(metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    @router.get("/v2", summary="Metadata of the server", tags=["V2"])
    async def server() -> dict[str, Any]:
        return {"name": "facemask", "version": version("facemask-pipeline"), "extensions": kserve.EXTENSIONS}

    @router.get(f"/v2/models/{kserve.MODEL}", summary="Metadata of the model", tags=["V2"])
    async def metadata(request: Request) -> kserve.ModelMetadata:
        model: Model = request.state.model
        return kserve.describe_model(model.version, model.revision, model.image_size)

    @router.post(
        f"/v2/models/{kserve.MODEL}/infer",
        summary="Classify face crops that come as a tensor",
        responses={200: {"model": kserve.InferenceResponse}, **_ERRORS},
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {JSON: {"schema": _reference(kserve.InferenceRequest)}},
            }
        },
        tags=["V2"],
    )
    async def infer(
        request: Request, header_length: Annotated[str | None, Header(alias=kserve.HEADER_LENGTH)] = None
    ) -> Response:
        model: Model = request.state.model
        async with bodies.read(request) as body:
            with _admitted(engine):
                async with _in_time(settings.limits.seconds):
                    asked, images = await engine.run(
                        kserve.parse_request, body, header_length, model.image_size, settings.options.max_faces
                    )
                    probabilities, answers = await engine.run(model.classify, images)
        metrics.classified(answers)
        content, headers = kserve.answer_request(asked, model.version, model.revision, probabilities, answers)
        return Response(content, headers=dict(headers))

    return router


async def _predict(engine: Engine, model: Model, uploads: Sequence[Upload], crop: bool) -> list[Prediction]:
    # One after the other, so that a request of many images does not keep those of others waiting.
    return [await engine.run(model.predict, upload.name, upload.content, crop) for upload in uploads]


@contextmanager
def _admitted(engine: Engine) -> Iterator[None]:
    try:
        with engine.admitted():
            yield
    except Busy as error:
        raise HTTPException(429, "too many requests wait (--max-waiting); try again later", LATER) from error


@asynccontextmanager
async def _in_time(seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise HTTPException(503, _too_long(seconds), LATER) from error


def _too_long(seconds: float) -> str:
    return f"the answer took longer than {seconds:g} s (--timeout); try again"


def _as_json(predictions: Sequence[Prediction]) -> str:
    text = io.StringIO()
    writer = Json(text)
    for prediction in predictions:
        writer.add(prediction)
    writer.end()
    return text.getvalue()


def _no_image_used(predictions: Sequence[Prediction], settings: Settings) -> str:
    limits = {
        "too large": f" (more than {settings.options.max_megapixels or MAX_MEGAPIXELS:g} megapixels, --max-megapixels)",
        TOO_MANY_FACES: f" (more than {settings.options.max_faces}, --max-faces)",
    }
    reasons = (f"{one.file}: {one.problem}{limits.get(one.problem, '')}" for one in predictions)
    return f"no image could be used: {'; '.join(reasons)}"


def _key_check(key: str) -> Callable[..., Awaitable[None]]:
    """Return a dependency that refuses requests without the API key."""
    expected = key.encode()

    async def check(
        named: Annotated[str | None, Depends(APIKeyHeader(name=KEY_HEADER, auto_error=False))],
        bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))],
    ) -> None:
        given = named or (bearer.credentials if bearer else "")
        if not secrets.compare_digest(given.encode("latin-1"), expected):
            raise HTTPException(
                401, f"the API key is missing or wrong; send it as {KEY_HEADER}", {"WWW-Authenticate": "Bearer"}
            )

    return check


def _report_reload(model: Model, metrics: Metrics) -> None:
    metrics.reloaded(model.version, model.revision)
    logger.info("the model has changed: now version %s", model.version)


def _documented(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document, with the bodies that the routes read themselves."""
    if not app.openapi_schema:
        app.openapi_schema = FastAPI.openapi(app)
        _, schemas = models_json_schema(
            [(EncodedImages, "validation"), (kserve.InferenceRequest, "validation")], ref_template=_SCHEMAS
        )
        app.openapi_schema["components"]["schemas"].update(schemas["$defs"])
    return app.openapi_schema


async def _say(_: Request, error: Exception) -> Response:
    """Answer an error with its sentence."""
    assert isinstance(error, StarletteHTTPException)  # noqa: S101 - registered for these only
    said = _OF_THE_ADDRESS.get(error.status_code, str(error.detail))
    return JSONResponse({"error": said}, error.status_code, dict(error.headers or {}))


async def _say_invalid(_: Request, error: Exception) -> Response:
    """Answer an invalid parameter with a sentence, without repeating what was sent."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for these only
    found = "; ".join(f"{one['loc'][-1]}: {one['msg']}" for one in error.errors())
    return JSONResponse({"error": f"invalid parameter ({found})"}, 422)


async def _no_page() -> HTMLResponse:
    return HTMLResponse("<p>facemask answers requests with images: see its <a href='docs'>documentation</a>.</p>\n")


class _Surrounding:
    """What surrounds every request: the model's version in the answer, figures, a last limit of time, and errors.

    A failure is logged by its type and place; its message might quote what a client sent.
    """

    def __init__(self, app: ASGIApp, engine: Engine, metrics: Metrics, seconds: float) -> None:
        self._app, self._engine, self._metrics, self._seconds = app, engine, metrics, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = time.perf_counter(), 0
        model = self._engine.model
        scope.setdefault("state", {})["model"] = model
        named = [(VERSION_HEADER.lower().encode(), model.version.encode())]
        named += [(REVISION_HEADER.lower().encode(), model.revision.encode())] if model.revision else []

        async def send_named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *named]
            await send(message)

        try:
            async with asyncio.timeout(self._seconds):
                await self._app(scope, receive, send_named)
        except ClientDisconnect:
            status = status or _CLIENT_GONE
        except TimeoutError:  # no answer on an overloaded machine, or a client that does not read its answer
            if not status:
                answer = JSONResponse({"error": _too_long(self._seconds)}, 503, LATER)
                await answer(scope, receive, send_named)
        except Exception as error:
            logger.error("%s\n%s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
            if not status:
                answer = JSONResponse({"error": "the server failed; its log says where"}, 500)
                await answer(scope, receive, send_named)
        route = getattr(scope.get("route"), "path", "other")
        self._metrics.answered(route, status, time.perf_counter() - start)
