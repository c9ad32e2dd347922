"""Ed25519 signatures of model manifests: one private key where models are trained, public keys where they serve.

Ed25519: Josefsson and Liusvaara (2017), RFC 8032. The private key is made on first use. Verifying never reads it: what
counts is the folder of trusted public keys, so a key is retired by taking its file out of that folder.
"""

import base64
import binascii
import os
import shutil
import tempfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from core.config import get_settings
from core.errors import InputError
from core.log import get_logger

ALGORITHM = "ed25519"
KEY_FILE_BYTES_MAX = 4_096
_SUFFIX = ".pub"
# Said before the content, so that a signature of ours can never pass for one of something else.
_CONTEXT = b"acis model manifest\n"
_PRIVATE_MODE = 0o600
_log = get_logger("registry")


def sign(content: bytes) -> dict[str, str]:
    """{algorithm, key_id, signature in base64} of a manifest's bytes by this installation's key.

    The first use makes the key, and where there is no folder of trusted keys yet, one that trusts it. InputError where
    the key cannot be used, or is not among the trusted ones: what it signs could not serve.
    """
    key = _signing_key()
    key_id = name_of(key.public_key())
    if key_id not in trusted_keys():
        settings = get_settings()
        raise InputError(
            f"signing key {key_id} ({settings.signing_key_file}) is not among the trusted keys in"
            f" {settings.trusted_keys_dir}; put its public key there: acis keys trust"
        )
    signature = base64.b64encode(key.sign(_CONTEXT + content)).decode()
    return {"algorithm": ALGORITHM, "key_id": key_id, "signature": signature}


def verify(content: bytes, record: Mapping[str, Any]) -> str | None:
    """Why a signature record does not vouch for the content, in words; None where a trusted key signed it."""
    if set(record) != {"algorithm", "key_id", "signature"} or record["algorithm"] != ALGORITHM:
        return f"its signature is not a record of {ALGORITHM}"
    key = trusted_keys().get(str(record["key_id"]))
    if key is None:
        return f"it is signed by {str(record['key_id'])[:16]!r}, which is not among the trusted keys"
    try:
        signature = base64.b64decode(str(record["signature"]), validate=True)
        key.verify(signature, _CONTEXT + content)
    except (InvalidSignature, binascii.Error, ValueError):
        return "its signature does not belong to its manifest"
    # Base64 has more than one text for the same bytes; we write one of them.
    return (
        None if base64.b64encode(signature).decode() == record["signature"] else "its signature is not base64 of ours"
    )


def trusted_keys() -> dict[str, Ed25519PublicKey]:
    """The public keys that models may be signed by, by id; empty where there is no folder of them."""
    keys = (_public_key(path) for path in sorted(get_settings().trusted_keys_dir.glob(f"*{_SUFFIX}")))
    return {name_of(key): key for key in keys if key is not None}


def name_of(key: Ed25519PublicKey) -> str:
    """A key's id: the first sixteen digits of the SHA-256 of its 32 bytes."""
    return sha256(key.public_bytes_raw()).hexdigest()[:16]


def own_key_id() -> str | None:
    """Id of this installation's signing key; None where there is none, as in a process that only serves."""
    return name_of(_read_signing_key().public_key()) if get_settings().signing_key_file.exists() else None


def trust_own_key() -> str:
    """Put this installation's public key among the trusted ones; returns its id."""
    key = _signing_key().public_key()
    _publish(key, get_settings().trusted_keys_dir)
    return name_of(key)


def rotate_key() -> tuple[str | None, str]:
    """Make a new signing key and trust it; returns (id of the old key, id of the new one).

    The old private key is gone; its public key stays trusted, so what it signed still serves until its file is taken
    out of the folder of trusted keys.
    """
    path, before = get_settings().signing_key_file, own_key_id()
    key = Ed25519PrivateKey.generate()
    _publish(key.public_key(), get_settings().trusted_keys_dir)
    written = _write_beside(path, _pem(key))
    written.rename(path)
    _sync_folder(path.parent)
    return before, name_of(key.public_key())


def _signing_key() -> Ed25519PrivateKey:
    """The private key, made where there is none; two processes that come at once end up with the same one."""
    settings = get_settings()
    path = settings.signing_key_file
    if not path.exists():
        if settings.signing_key is not None:
            raise InputError(f"ACIS_SIGNING_KEY names {path}, which does not exist; make it with: acis keys rotate")
        written = _write_beside(path, _pem(Ed25519PrivateKey.generate()))
        try:
            os.link(written, path)
        except FileExistsError:
            _log.info("another process made the signing key first", path=str(path))
        finally:
            written.unlink()
        _sync_folder(path.parent)
    key = _read_signing_key()
    if not settings.trusted_keys_dir.exists():
        _begin_list(key.public_key())
    return key


def _read_signing_key() -> Ed25519PrivateKey:
    path = get_settings().signing_key_file
    if path.stat().st_mode & 0o077:
        _log.warning("the signing key can be read by others; run: chmod 600", path=str(path))
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InputError(f"signing key {path} is not an unencrypted PEM private key: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError(f"signing key {path} is a {type(key).__name__}, not Ed25519; make one with: acis keys rotate")
    return key


def _public_key(path: Path) -> Ed25519PublicKey | None:
    """The key of one file; a file that holds none vouches for nothing and does not keep the others from it."""
    try:
        with path.open("rb") as file:
            key = serialization.load_pem_public_key(file.read(KEY_FILE_BYTES_MAX))
    except (ValueError, UnsupportedAlgorithm, OSError) as error:
        _log.warning("not a public key; replace it or take it out", path=str(path), error=str(error))
        return None
    if not isinstance(key, Ed25519PublicKey):
        _log.warning("not an Ed25519 key; replace it or take it out", path=str(path))
        return None
    return key


def _begin_list(key: Ed25519PublicKey) -> None:
    """The folder of trusted keys, which appears with the first key in it or not at all."""
    folder = get_settings().trusted_keys_dir
    folder.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=".building-", dir=folder.parent))
    try:
        _publish(key, building)
        building.chmod(0o755)
        building.rename(folder)
        _sync_folder(folder.parent)
    except OSError:
        if not folder.exists():
            raise
        _log.info("another process began the list of trusted keys first", folder=str(folder))
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _publish(key: Ed25519PublicKey, folder: Path) -> None:
    content = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    path = folder / f"{name_of(key)}{_SUFFIX}"
    written = _write_beside(path, content)
    written.chmod(0o644)
    written.rename(path)
    _sync_folder(folder)


def _pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write_beside(path: Path, content: bytes) -> Path:
    """A file with the content, on the disk, beside `path` and readable by its owner only (mkstemp sees to that)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=".writing-", dir=path.parent)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return Path(name)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
