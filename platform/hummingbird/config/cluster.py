"""Where the catalog and the Ray cluster are, and the one way to connect to Ray."""

import os
import signal
import threading

from pydantic import Field, PositiveInt, field_validator

from hummingbird.config.section import Section
from hummingbird.core.masking import has_password, is_secret_name
from hummingbird.core.resources import keep_cpu_work_to

# Ray reads these when it is imported, so they are set before anything can import it. It turns token mode on by itself
# where nothing is said, and a client that says nothing is then refused: so the mode is stated, and children inherit it.
os.environ.setdefault("RAY_AUTH_MODE", "token")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# Else any call starts a Ray instance where there is none, or none any more.
os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
# On a busy machine Serve's proxy needs more than its 5 seconds, and is killed for good after three times that.
os.environ.setdefault("RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S", "60")


class CatalogSettings(Section):
    """The Iceberg catalog. Default: SQLite and a local warehouse in the storage folder."""

    namespace: str = Field("hummingbird", min_length=1, description="namespace of the tables")
    properties: dict[str, str] = Field(
        default_factory=dict,
        description="pyiceberg catalog properties, e.g. {type: rest, uri: ..., warehouse: s3://...}; "
        "empty: SQLite at <storage>/catalog.db and the warehouse <storage>/warehouse; credentials come from the "
        "environment (AWS_ACCESS_KEY_ID, ..., PGPASSWORD, or PYICEBERG_CATALOG__HUMMINGBIRD__TOKEN, ...)",
    )

    @field_validator("properties")
    @classmethod
    def _hold_no_secret(cls, properties: dict[str, str]) -> dict[str, str]:
        """Settings are printed and stored with every run, so credentials must not be among them."""
        secret = [key for key in properties if is_secret_name(key)]
        if secret:
            name = secret[0].upper().replace(".", "__").replace("-", "_")
            raise ValueError(
                f"{', '.join(secret)} must not stand in settings: use the environment "
                f"(PYICEBERG_CATALOG__HUMMINGBIRD__{name})"
            )
        if any(map(has_password, properties.values())):
            raise ValueError(
                "a URI must not hold a password: of PostgreSQL it comes from the environment variable PGPASSWORD, of "
                "others as part of PYICEBERG_CATALOG__HUMMINGBIRD__URI"
            )
        return properties


class RaySettings(Section):
    """The Ray cluster that a verb runs on."""

    address: str | None = Field(
        None, description="cluster to connect to; none: RAY_ADDRESS if set, else a local instance"
    )
    cpu_nodes: dict[str, str] = Field(
        default_factory=dict,
        description="labels of the nodes that work without a GPU keeps to, so that it takes, and starts, none with "
        "GPUs: {ray.io/node-group: cpu}; empty: all nodes",
    )
    num_cpus: PositiveInt | None = Field(None, description="CPUs of a local instance; none: all")
    dashboard: bool = Field(False, description="start the dashboard of a local instance")


def connect(settings: RaySettings) -> None:
    """Connects this process to Ray, or starts a local instance; does nothing when already connected."""
    import ray

    keep_cpu_work_to(settings.cpu_nodes)
    if ray.is_initialized():
        return
    on_termination = signal.getsignal(signal.SIGTERM)
    address = settings.address or os.environ.get("RAY_ADDRESS")
    if address:
        ray.init(address=address, log_to_driver=True)
    else:
        ray.init(
            "local",  # never join a cluster that happens to run on this machine
            num_cpus=settings.num_cpus,
            include_dashboard=settings.dashboard,
            _node_ip_address="127.0.0.1",  # else its ports, metrics among them, are open to other machines
            log_to_driver=True,
            runtime_env={"worker_process_setup_hook": "hummingbird.config.quiet_ray.quiet_worker"},
        )
    if callable(on_termination) and threading.current_thread() is threading.main_thread():
        # Ray puts a handler of its own here, which would end the process without a word of interruption.
        signal.signal(signal.SIGTERM, on_termination)
