# Answers over HTTP with the model in export/ (docs/serve.md):
#
#     docker build --build-arg REVISION=$(git rev-parse --short HEAD) --tag facemask .
#     docker run --rm --read-only --tmpfs /tmp --cap-drop ALL --publish 127.0.0.1:8000:8000 facemask

FROM python:3.11-slim AS build
WORKDIR /build
COPY LICENSE README.md constraints.txt pyproject.toml ./
COPY facemask facemask
RUN python -m venv /opt/facemask \
    && /opt/facemask/bin/pip install --no-cache-dir --constraint constraints.txt '.[serve]'

FROM python:3.11-slim
WORKDIR /srv
COPY --from=build /opt/facemask /opt/facemask
COPY export export
COPY web web
ARG REVISION=""
ENV PATH=/opt/facemask/bin:$PATH \
    FACEMASK_REVISION=$REVISION \
    PYTHONDONTWRITEBYTECODE=1
# By number, so that Kubernetes can see that it is not root.
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["facemask", "serve"]
# Within the container every address; which of the host's reach it, `--publish` decides.
CMD ["--host", "0.0.0.0"]
