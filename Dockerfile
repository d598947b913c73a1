# The command and the service in one image.
#
#   docker build -t nsfw-censor .
#   docker run --rm --read-only --cap-drop ALL -p 127.0.0.1:8000:8000 nsfw-censor
#   docker run --rm --read-only --cap-drop ALL -v "$PWD:/pictures" -u "$(id -u)" nsfw-censor hide photo.jpg
#
# Any Debian with Python 3.11 or newer and its venv module will do as the base.
ARG BASE=docker.io/library/python:3.13-slim-bookworm

FROM ${BASE} AS build
# The bundled detector's weights are AGPL-3.0; leave the extra out and mount your own detector (CENSOR_WEIGHTS) otherwise.
ARG EXTRAS=nudenet,openvino,service
# Models to add, each under its own licence (`censor models` prints it); the nudenet extra brings the detector 320n.
ARG MODELS="centerface open_nsfw image-safety-s"
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY censor censor
COPY detect detect
RUN python3 -m venv /opt/censor && \
    /opt/censor/bin/python -m pip install --no-cache-dir --disable-pip-version-check ".[${EXTRAS}]" && \
    mkdir /opt/censor/models && \
    if [ -n "${MODELS}" ]; then \
        python3 -m venv /opt/adding && \
        /opt/adding/bin/python -m pip install --no-cache-dir --disable-pip-version-check ".[models]" && \
        CENSOR_MODELS=/opt/censor/models /opt/adding/bin/censor models add ${MODELS}; \
    fi && \
    /opt/censor/bin/python -m pip uninstall --yes --quiet pip && \
    /opt/censor/bin/python -m compileall -q /opt/censor/lib

FROM ${BASE}
LABEL org.opencontainers.image.title="nsfw-censor" \
      org.opencontainers.image.description="Hides exposed body parts in pictures, with a verdict that can be defended" \
      org.opencontainers.image.licenses="Apache-2.0 AND AGPL-3.0-only AND BSD-2-Clause AND MIT"
COPY --from=build /opt/censor /opt/censor
# Nothing is written: no byte code, no caches, no telemetry's files.
ENV PATH=/opt/censor/bin:$PATH \
    CENSOR_MODELS=/opt/censor/models \
    HOME=/nonexistent \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ORT_DISABLE_TELEMETRY=1
USER 65532:65532
WORKDIR /pictures
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
  CMD ["python3", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["censor"]
CMD ["serve", "--host", "0.0.0.0"]
