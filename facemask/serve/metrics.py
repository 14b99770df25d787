"""Figures of the server for Prometheus."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from facemask.inference.predictor import Prediction

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """Counters of one server; none says anything about the content of an image."""

    def __init__(self, waiting: Callable[[], float]) -> None:
        """Create the counters.

        Args:
            waiting: returns how many requests are worked on or wait at present.
        """
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._requests = Counter("facemask_requests", "Answered requests.", ["route", "status"], registry=registry)
        self._seconds = Histogram(
            "facemask_request_seconds",
            "From a request's first line to the end of its answer.",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._images = Counter("facemask_images", "Images, by whether they could be used.", ["used"], registry=registry)
        self._faces = Counter("facemask_faces", "Faces that were found, by answer.", ["answer"], registry=registry)
        self._reloads = Counter(
            "facemask_model_reloads", "Models that replaced another while the server ran.", registry=registry
        )
        self._model = Gauge(
            "facemask_model_info", "Always 1; the labels name the model.", ["version", "revision"], registry=registry
        )
        Gauge("facemask_requests_in_progress", "Requests that are worked on or wait.", registry=registry).set_function(
            waiting
        )

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def predicted(self, prediction: Prediction) -> None:
        """Count an image and its faces."""
        self._images.labels("no" if prediction.problem else "yes").inc()
        for face in prediction.faces:
            self._faces.labels(face.answer).inc()

    def classified(self, answers: list[str]) -> None:
        """Count faces that came as tensors."""
        for answer in answers:
            self._faces.labels(answer).inc()

    def use_model(self, version: str, revision: str) -> None:
        """Name the model."""
        self._model.clear()
        self._model.labels(version, revision).set(1)

    def reloaded(self, version: str, revision: str) -> None:
        """Count a replacement of the model, and name the new one."""
        self._reloads.inc()
        self.use_model(version, revision)

    def text(self) -> bytes:
        """Return all figures in Prometheus' text format."""
        return generate_latest(self._registry)
