"""The one Settings object and the only reader of the environment."""

import os
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from core.errors import InputError

REPOSITORY = Path(__file__).resolve().parent.parent
SOCKET_PATH_BYTES_MAX = 100


class Settings(BaseSettings):
    """What the environment may set. Every name is prefixed ACIS_ except the customary URLs."""

    model_config = SettingsConfigDict(env_prefix="ACIS_", env_file=".env", extra="ignore", frozen=True)

    environment: Literal["dev", "test", "production"] = "dev"
    database_url: str | None = Field(default=None, validation_alias="DATABASE_URL")
    redis_url: str | None = Field(default=None, validation_alias="REDIS_URL")
    api_database_url: str | None = Field(default=None, validation_alias="API_DATABASE_URL")
    api_connections: int = Field(default=10, ge=1, description="database connections of one API process")
    var_dir: Path = REPOSITORY / "var"
    mlflow_tracking_uri: str | None = None
    code_commit: str | None = None
    regime_detector: Literal["rules", "hidden_markov"] = "rules"
    threads: int = Field(default=2, ge=1, description="threads of a training run")
    signing_key: Path | None = Field(default=None, description="private key of training; made in var_dir if not given")
    trusted_keys: Path | None = Field(default=None, description="folder of the public keys whose models may serve")
    token_secrets: str | None = Field(default=None, description="secrets that sign access tokens, newest first")
    vault_keys: str | None = Field(default=None, description="secrets that seal second factors at rest, newest first")
    audit_keys: str | None = Field(default=None, description="secrets that sign anchors of the audit, newest first")
    secure_cookies: bool | None = Field(default=None, description="cookies over TLS only; in production unless set")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "WARNING"
    log_json: bool = False
    api_host: str = Field(default="127.0.0.1", description="address that the API listens on")
    api_port: int = Field(default=8000, ge=1, le=65_535)
    api_processes: int = Field(default=2, ge=1, le=64, description="processes that answer on the API's port")
    trusted_proxies: str = Field(default="", description="networks whose X-Forwarded-For is believed, commas between")
    requests_per_minute: int = Field(default=100, ge=1, description="of one person; of one address, of strangers")
    machine_requests_per_minute: int = Field(default=600, ge=1, description="of one machine's key")
    metrics_token: str | None = Field(default=None, description="bearer token of /metrics; without it loopback only")
    trace_endpoint: str | None = Field(default=None, validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT")

    @model_validator(mode="after")
    def _production_names_its_servers(self) -> Self:
        needed = {
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "ACIS_TOKEN_SECRETS": self.token_secrets,
            "ACIS_VAULT_KEYS": self.vault_keys,
        }
        missing = [name for name, value in needed.items() if not value]
        if self.environment == "production" and missing:
            raise ValueError(f"ACIS_ENVIRONMENT=production needs {' and '.join(missing)} to be set")
        return self

    @property
    def postgres_dir(self) -> Path:
        """Folder of the embedded PostgreSQL server."""
        return self.var_dir / "postgres"

    @property
    def redis_dir(self) -> Path:
        """Folder of the embedded Redis server."""
        return self.var_dir / "redis"

    @property
    def redis_socket(self) -> Path:
        """Socket of the embedded Redis; in the temporary folder where the path would be too long for a socket."""
        path = (self.redis_dir / "redis.sock").resolve()
        if len(os.fsencode(path)) <= SOCKET_PATH_BYTES_MAX:
            return path
        return Path(tempfile.gettempdir()) / f"acis-{sha256(os.fsencode(path)).hexdigest()[:16]}.sock"

    @property
    def queue_url(self) -> str:
        """URL of the job queue: REDIS_URL, or the embedded server's socket."""
        return self.redis_url or f"redis+socket://{self.redis_socket}"

    @property
    def redis_address(self) -> str:
        """The same server in the words of Redis' own client."""
        return self.redis_url or f"unix://{self.redis_socket}"

    @property
    def mlflow_dir(self) -> Path:
        """Folder of the tracking server's artefacts and its address."""
        return self.var_dir / "mlflow"

    @property
    def inbox_dir(self) -> Path:
        """Folder into which vendors' files of bars are put; the morning's job brings them in."""
        return self.var_dir / "inbox"

    @property
    def run_dir(self) -> Path:
        """Folder of what the processes that `acis up` supervises tell about themselves: ids and readiness."""
        return self.var_dir / "run"

    @property
    def log_dir(self) -> Path:
        """Folder of the logs of the processes that `acis up` supervises."""
        return self.var_dir / "log"

    @property
    def features_dir(self) -> Path:
        """Folder of the feature snapshots (Parquet)."""
        return self.var_dir / "features"

    @property
    def models_dir(self) -> Path:
        """Folder of the model artefacts (UBJSON, ONNX, manifests, signatures)."""
        return self.var_dir / "models"

    @property
    def signing_key_file(self) -> Path:
        """The private key that signs models; only processes that train need it."""
        return self.signing_key or self.var_dir / "keys" / "signing.pem"

    @property
    def token_secret_file(self) -> Path:
        """The secret that signs access tokens where none is set: made on first use, shared by this machine's API."""
        return self.var_dir / "keys" / "token.secret"

    @property
    def vault_key_file(self) -> Path:
        """The secret that seals second factors where none is set: made on first use. Lost, they must be reset."""
        return self.var_dir / "keys" / "vault.secret"

    @property
    def audit_key_file(self) -> Path:
        """The secret that signs anchors of the audit where none is set: made on first use."""
        return self.var_dir / "keys" / "audit.secret"

    @property
    def audit_anchor_file(self) -> Path:
        """What the audit's chain was worth, minute by minute, outside the database; copy it to where nobody writes."""
        return self.var_dir / "audit" / "anchors.jsonl"

    @property
    def cookies_are_secure(self) -> bool:
        """Whether browsers send the sign-in's cookies over TLS only."""
        return self.environment == "production" if self.secure_cookies is None else self.secure_cookies

    @property
    def trusted_keys_dir(self) -> Path:
        """Folder of the public keys (*.pub) that models may be signed by; all that serving needs."""
        return self.trusted_keys or self.var_dir / "keys" / "trusted"


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process, read once."""
    try:
        return Settings()
    except ValueError as error:
        raise InputError(f"the environment holds an unusable setting: {error}") from error


@dataclass(frozen=True)
class Shown:
    """One setting as people may see it: `value` is masked where it is, or could be, a secret."""

    name: str
    value: str | None
    source: Literal["environment", ".env", "default"]
    is_secret: bool
    description: str | None


# Texts that are no secrets. Any other text is shown masked, so that a new setting is not told by oversight.
_TOLD = frozenset({"code_commit", "api_host", "trusted_proxies"})
_ADDRESSES = frozenset({"database_url", "api_database_url", "redis_url", "mlflow_tracking_uri", "trace_endpoint"})


def shown_settings() -> list[Shown]:
    """Every setting in force, by name, with where it comes from; of addresses only where they point to."""
    settings = get_settings()
    variables = {name.upper() for name in os.environ}
    return [
        _shown(settings, field, variables)
        for field in sorted(Settings.model_fields, key=lambda field: _variable(field))
    ]


def _variable(field: str) -> str:
    alias = Settings.model_fields[field].validation_alias
    return alias if isinstance(alias, str) else f"ACIS_{field.upper()}"


def _shown(settings: Settings, field: str, variables: Collection[str]) -> Shown:
    info, value, name = Settings.model_fields[field], getattr(settings, field), _variable(field)
    source: Literal["environment", ".env", "default"] = (
        "default" if field not in settings.model_fields_set else "environment" if name in variables else ".env"
    )
    is_secret = str in (info.annotation, *get_args(info.annotation)) and field not in _TOLD
    shown = str(value)
    if is_secret:
        shown = _address(shown) if field in _ADDRESSES else "***"
    text = None if value is None else shown
    return Shown(name=name, value=text, source=source, is_secret=is_secret, description=info.description)


def _address(url: str) -> str:
    """Where it points to, without whom it signs in as."""
    parts = urlsplit(url)
    if not parts.scheme or not parts.netloc:
        return "***"
    user = "***@" if "@" in parts.netloc else ""
    return f"{parts.scheme}://{user}{parts.netloc.rpartition('@')[2]}{parts.path}{'?***' if parts.query else ''}"


def child_environment(**extra: str) -> dict[str, str]:
    """The environment for a child process: this process's own, with `extra` on top."""
    return {**os.environ, **extra}


def name_connections(name: str) -> None:
    """Give the database connections that this process makes from here on a name that others can find them by."""
    os.environ["PGAPPNAME"] = name


def switch_telemetry_off() -> None:
    """Tell libraries that would report their use to their makers not to; they ask the environment at import."""
    os.environ.update({"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"})


def shared_metrics_dir() -> Path | None:
    """Folder in which several API processes count together; None where this one counts for itself."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    return None if folder is None else Path(folder)


def share_metrics(folder: Path) -> None:
    """Let the API processes started from here count together; Prometheus' library asks the environment at import."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
