"""Builders of model versions."""

from datetime import date
from hashlib import sha256
from itertools import count
from typing import Any

from sqlalchemy.orm import Session

from database.tables.models import ModelVersion

_numbers = count(1)


def make_model(
    *,
    strategy: str = "momentum_largecap",
    kind: str = "screener",
    year: int = 2017,
    version: int = 1,
    input_hash: str | None = None,
    **fields: Any,
) -> ModelVersion:
    """A model version of one calendar year's fold, not stored yet; no files lie behind it."""
    mark = sha256(f"model {next(_numbers)}".encode()).hexdigest()
    return ModelVersion(
        **{
            "name": f"{kind}-{strategy}",
            "version": version,
            "kind": kind,
            "strategy": strategy,
            "algorithm": "xgboost" if kind == "screener" else "ppo",
            "train_from_on": date(year - 5, 1, 2),
            "train_to_on": date(year - 1, 5, 1),
            "last_label_on": date(year - 1, 12, 29),
            "valid_from_on": date(year, 1, 1),
            "valid_to_on": date(year + 1, 1, 1),
            "input_hash": input_hash or mark,
            "feature_hash": mark,
            "artefact_dir": f"{kind}-{strategy}/{mark[:16]}",
            "artefact_sha256": mark,
            "manifest": {},
            "metrics": {},
            "code_commit": "unknown",
            **fields,
        }
    )


def create_model(session: Session, **fields: Any) -> ModelVersion:
    """The same, stored; options as for `make_model`."""
    model = make_model(**fields)
    session.add(model)
    session.flush()
    return model
