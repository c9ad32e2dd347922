"""The one Settings object and the only reader of the environment."""

from functools import lru_cache
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from core.errors import InputError

REPOSITORY = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """What the environment may set. Every name is prefixed ACIS_ except the two customary URLs."""

    model_config = SettingsConfigDict(env_prefix="ACIS_", env_file=".env", extra="ignore", frozen=True)

    environment: Literal["dev", "test", "production"] = "dev"
    database_url: str | None = Field(default=None, validation_alias="DATABASE_URL")
    redis_url: str | None = Field(default=None, validation_alias="REDIS_URL")
    var_dir: Path = REPOSITORY / "var"
    mlflow_tracking_uri: str | None = None
    code_commit: str | None = None
    threads: int = Field(default=2, ge=1, description="threads of a training run")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "WARNING"
    log_json: bool = False

    @model_validator(mode="after")
    def _production_names_its_servers(self) -> Self:
        if self.environment == "production" and not (self.database_url and self.redis_url):
            raise ValueError("ACIS_ENVIRONMENT=production needs DATABASE_URL and REDIS_URL to be set")
        return self

    @property
    def postgres_dir(self) -> Path:
        """Folder of the embedded PostgreSQL server."""
        return self.var_dir / "postgres"

    @property
    def features_dir(self) -> Path:
        """Folder of the feature snapshots (Parquet)."""
        return self.var_dir / "features"

    @property
    def models_dir(self) -> Path:
        """Folder of the model artefacts (UBJSON, ONNX, manifests)."""
        return self.var_dir / "models"


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process, read once."""
    try:
        return Settings()
    except ValueError as error:
        raise InputError(f"the environment holds an unusable setting: {error}") from error
