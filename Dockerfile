# One target for each service, and one for the operator:
#   docker build --target order -t shop-order .
# BASE is the base image of the runtime, BUILD_BASE that of the build stages. Both need Python at the same path.
ARG BASE=python:3.11-slim
ARG BUILD_BASE=${BASE}

# ---- build: pip and its files are not part of the runtime images
FROM ${BUILD_BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build

FROM build AS services-venv
COPY requirements/services.txt requirements/
RUN python3 -m venv /venv \
 && /venv/bin/pip install --quiet --require-hashes -r requirements/services.txt \
 && /venv/bin/pip uninstall --quiet --yes pip setuptools

FROM build AS storefront-venv
COPY requirements/storefront.txt requirements/
RUN python3 -m venv /venv \
 && /venv/bin/pip install --quiet --require-hashes -r requirements/storefront.txt \
 && /venv/bin/pip uninstall --quiet --yes pip setuptools
# Babel knows a thousand locales in 32 MB; the pages need those of their own languages only.
COPY services/storefront/translations translations
RUN cd /venv/lib/python3*/site-packages/babel/locale-data \
 && mkdir /locales \
 && for language in en $(basename -s .po -a /build/translations/*.po); do cp "$language".dat "$language"_*.dat /locales; done \
 && mv root.dat /locales \
 && rm *.dat \
 && mv /locales/*.dat .

FROM build AS local-aws-venv
COPY requirements/local-aws.txt requirements/
RUN python3 -m venv /venv \
 && /venv/bin/pip install --quiet --require-hashes -r requirements/local-aws.txt \
 && /venv/bin/pip uninstall --quiet --yes pip setuptools

FROM build AS operator-venv
COPY requirements/build.txt requirements/operator.txt requirements/
RUN python3 -m venv /tools && /tools/bin/pip install --quiet --require-hashes -r requirements/build.txt \
 && python3 -m venv /venv && /venv/bin/pip install --quiet --require-hashes -r requirements/operator.txt
COPY operator operator
RUN /tools/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir wheels ./operator \
 && /venv/bin/pip install --quiet --no-deps --no-index wheels/*.whl \
 && /venv/bin/pip uninstall --quiet --yes pip setuptools

# ---- runtime: no compiler, no package cache, a numeric user, and support for a read-only root filesystem
FROM ${BASE} AS runtime
ENV PATH=/venv/bin:/usr/local/bin:/usr/bin:/bin HOME=/tmp PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
USER 65532:65532
EXPOSE 8080

# The first process of a container ignores SIGTERM until it handles it, so Python would miss one that arrives while it starts, and
# would work until it is killed. dumb-init is the first process instead, and passes the signal on.
FROM runtime AS operator
COPY --from=operator-venv /venv /venv
ENTRYPOINT ["dumb-init", "--single-child", "--"]
CMD ["shop-operator", "run"]

FROM runtime AS local-aws
COPY --from=local-aws-venv /venv /venv
EXPOSE 4566
CMD ["ministack"]

# The image of the examples: one file that needs only the standard library.
FROM runtime AS sample
COPY dev/shopdev/sample.py sample.py
ENTRYPOINT ["python3", "-m", "sample"]

FROM runtime AS service
ENV PYTHONPATH=/app
COPY --from=services-venv /venv /venv
ENTRYPOINT ["dumb-init", "--single-child", "--"]
COPY services/__init__.py services/
COPY services/common services/common

FROM service AS product
COPY services/product services/product
CMD ["gunicorn", "--config", "python:services.common.http.gunicorn", "services.product.app:create_app()"]

FROM service AS order
COPY services/order services/order
CMD ["gunicorn", "--config", "python:services.common.http.gunicorn", "services.order.app:create_app()"]

FROM service AS payment
COPY services/payment services/payment
CMD ["gunicorn", "--config", "python:services.common.http.gunicorn", "services.payment.app:create_app()"]

FROM service AS shipping
COPY services/shipping services/shipping
CMD ["gunicorn", "--config", "python:services.common.http.gunicorn", "services.shipping.app:create_app()"]

# The pages need the languages in addition.
FROM runtime AS storefront
ENV PYTHONPATH=/app
COPY --from=storefront-venv /venv /venv
ENTRYPOINT ["dumb-init", "--single-child", "--"]
COPY services/__init__.py services/
COPY services/common services/common
COPY services/storefront services/storefront
CMD ["gunicorn", "--config", "python:services.common.http.gunicorn", "services.storefront.app:create_app()"]
