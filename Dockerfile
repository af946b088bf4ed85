# One image for every part: `csms run`, `csms broker`, `csms api`, `csms worker`, `csms ftp`.
FROM python:3.11-slim-trixie AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY csms csms
COPY broker broker
COPY datasheet_api datasheet_api
COPY file_server file_server
COPY simulators simulators
RUN python -m venv /opt/csms && /opt/csms/bin/pip install --no-cache-dir .

FROM python:3.11-slim-trixie
# pg_dump and pg_restore for `csms backup`: of the same major version as the server in docker-compose.yml
RUN apt-get update && apt-get install --yes --no-install-recommends postgresql-client-17 && rm -rf /var/lib/apt/lists/*
RUN useradd --system --home-dir /var/lib/csms --create-home csms
COPY --from=build /opt/csms /opt/csms
ENV PATH=/opt/csms/bin:$PATH PYTHONUNBUFFERED=1 CSMS_DATA_DIR=/var/lib/csms \
    CSMS_DATABASE_URL=sqlite:////var/lib/csms/csms.db
USER csms
WORKDIR /var/lib/csms
VOLUME /var/lib/csms
EXPOSE 9000 9443 8000 2121
STOPSIGNAL SIGTERM
CMD ["csms", "run"]
