"""Who may vouch for a model: keys made once, kept secret, trusted by a list, and changed without a gap."""

import base64
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core.config import get_settings
from core.errors import InputError
from registry import signing
from registry.signing import name_of, own_key_id, rotate_key, sign, trust_own_key, trusted_keys, verify

CONTENT = b'{"a": 1}'


@pytest.fixture(autouse=True)
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installation of the test's own."""
    monkeypatch.setenv("ACIS_VAR_DIR", str(tmp_path))
    get_settings.cache_clear()
    yield tmp_path
    get_settings.cache_clear()


def give_setting(monkeypatch: pytest.MonkeyPatch, name: str, value: Path) -> None:
    monkeypatch.setenv(name, str(value))
    get_settings.cache_clear()


class TestFirstUse:
    def test_makes_a_key_that_only_its_owner_reads_and_trusts_it(self, var: Path) -> None:
        assert own_key_id() is None
        record = sign(CONTENT)
        path = var / "keys" / "signing.pem"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert list(trusted_keys()) == [record["key_id"]] == [own_key_id()]
        assert sorted(entry.name for entry in path.parent.iterdir()) == ["signing.pem", "trusted"]

    def test_second_use_signs_with_the_same_key(self) -> None:
        assert sign(CONTENT) == sign(CONTENT)

    def test_many_at_once_end_up_with_one_key(self) -> None:
        with ThreadPoolExecutor(8) as pool:
            records = list(pool.map(sign, [CONTENT] * 16))
        assert len({record["signature"] for record in records}) == 1

    def test_a_key_that_others_can_read_is_warned_about(self, var: Path, capsys: pytest.CaptureFixture[str]) -> None:
        sign(CONTENT)
        (var / "keys" / "signing.pem").chmod(0o644)
        sign(CONTENT)
        assert "can be read by others" in "".join(capsys.readouterr())


class TestVerify:
    def test_what_was_signed_passes(self) -> None:
        assert verify(CONTENT, sign(CONTENT)) is None

    def test_the_signature_is_that_of_rfc_8032_over_context_and_content(self) -> None:
        record = sign(CONTENT)
        trusted_keys()[record["key_id"]].verify(
            base64.b64decode(record["signature"]), b"acis model manifest\n" + CONTENT
        )

    @pytest.mark.parametrize("place", range(len(CONTENT)))
    def test_any_other_byte_fails(self, place: int) -> None:
        changed = bytearray(CONTENT)
        changed[place] ^= 1
        assert verify(bytes(changed), sign(CONTENT)) == "its signature does not belong to its manifest"

    @pytest.mark.parametrize(
        "change",
        [
            {"algorithm": "none"},
            {"algorithm": "hmac-sha256"},
            {"key_id": ""},
            {"key_id": 7},
            {"key_id": "../../etc/passwd"},
            {"signature": ""},
            {"signature": "AAAA"},
            {"signature": "not base64 at all"},
            {"signature": None},
            {"public_key": "MCowBQYDK2VwAyEA"},
        ],
    )
    def test_a_record_that_is_not_ours_fails(self, change: dict[str, object]) -> None:
        assert verify(CONTENT, {**sign(CONTENT), **change}) is not None

    def test_an_empty_record_fails(self) -> None:
        sign(CONTENT)
        assert verify(CONTENT, {}) is not None

    def test_serving_needs_public_keys_only(self, var: Path) -> None:
        record = sign(CONTENT)
        (var / "keys" / "signing.pem").unlink()
        assert verify(CONTENT, record) is None
        assert not (var / "keys" / "signing.pem").exists(), "verifying made a key"

    def test_nobody_is_trusted_where_there_is_no_list(self, var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        record = sign(CONTENT)
        give_setting(monkeypatch, "ACIS_TRUSTED_KEYS", var / "nowhere")
        assert "not among the trusted keys" in str(verify(CONTENT, record))


class TestTrust:
    def test_a_stranger_is_refused_until_his_key_is_put_there(self, var: Path) -> None:
        sign(CONTENT)
        stranger = Ed25519PrivateKey.generate()
        record = {
            "algorithm": "ed25519",
            "key_id": name_of(stranger.public_key()),
            "signature": base64.b64encode(stranger.sign(b"acis model manifest\n" + CONTENT)).decode(),
        }
        assert "not among the trusted keys" in str(verify(CONTENT, record))
        (var / "keys" / "trusted" / "partner.pub").write_bytes(
            stranger.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
        assert verify(CONTENT, record) is None

    def test_a_file_name_does_not_make_a_key_another(self, var: Path) -> None:
        record = sign(CONTENT)
        other = rotate_key()[1]
        folder = var / "keys" / "trusted"
        (folder / f"{record['key_id']}.pub").write_bytes((folder / f"{other}.pub").read_bytes())
        assert set(trusted_keys()) == {other}
        assert verify(CONTENT, record) is not None

    @pytest.mark.parametrize("content", [b"", b"garbage", b"\x80\x04K\x01.", b"-----BEGIN PUBLIC KEY-----\n"])
    def test_a_file_that_is_no_key_vouches_for_nothing(self, var: Path, content: bytes) -> None:
        record = sign(CONTENT)
        (var / "keys" / "trusted" / "aaa.pub").write_bytes(content)
        assert list(trusted_keys()) == [record["key_id"]]

    def test_a_key_of_another_kind_vouches_for_nothing(self, var: Path) -> None:
        record = sign(CONTENT)
        other = generate_private_key(SECP256R1()).public_key()
        pem = other.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        (var / "keys" / "trusted" / "aaa.pub").write_bytes(pem)
        assert list(trusted_keys()) == [record["key_id"]]

    def test_signing_with_a_key_that_is_not_trusted_is_refused_with_the_remedy(self, var: Path) -> None:
        key = sign(CONTENT)["key_id"]
        (var / "keys" / "trusted" / f"{key}.pub").unlink()
        with pytest.raises(InputError, match=f"signing key {key} .* acis keys trust"):
            sign(CONTENT)
        assert trust_own_key() == key
        assert verify(CONTENT, sign(CONTENT)) is None


class TestRotation:
    def test_old_signatures_stand_until_the_old_key_is_taken_away(self, var: Path) -> None:
        old = sign(CONTENT)
        before, after = rotate_key()
        new = sign(CONTENT)
        assert (before, after) == (old["key_id"], new["key_id"])
        assert before != after
        assert verify(CONTENT, old) is None
        assert verify(CONTENT, new) is None
        (var / "keys" / "trusted" / f"{before}.pub").unlink()
        assert "not among the trusted keys" in str(verify(CONTENT, old))
        assert verify(CONTENT, new) is None

    def test_before_the_first_use_it_makes_the_first_key(self, var: Path) -> None:
        before, after = rotate_key()
        assert before is None
        assert sign(CONTENT)["key_id"] == after
        assert stat.S_IMODE((var / "keys" / "signing.pem").stat().st_mode) == 0o600


class TestGivenKey:
    def test_signs_here(self, var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        give_setting(monkeypatch, "ACIS_SIGNING_KEY", var / "elsewhere" / "key.pem")
        _, key = rotate_key()
        assert sign(CONTENT)["key_id"] == key
        assert not (var / "keys" / "signing.pem").exists()

    def test_that_is_missing_is_named(self, var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        give_setting(monkeypatch, "ACIS_SIGNING_KEY", var / "lost.pem")
        with pytest.raises(InputError, match=r"ACIS_SIGNING_KEY names .*lost\.pem, which does not exist"):
            sign(CONTENT)

    @pytest.mark.parametrize("content", [b"", b"secret", b"\x80\x04K\x01."])
    def test_that_is_no_key_is_named(self, var: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
        (var / "key.pem").write_bytes(content)
        give_setting(monkeypatch, "ACIS_SIGNING_KEY", var / "key.pem")
        with pytest.raises(InputError, match=r"key\.pem is not an unencrypted PEM private key"):
            sign(CONTENT)

    def test_of_another_kind_is_named(self, var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        pem = generate_private_key(SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (var / "key.pem").write_bytes(pem)
        give_setting(monkeypatch, "ACIS_SIGNING_KEY", var / "key.pem")
        with pytest.raises(InputError, match="not Ed25519"):
            sign(CONTENT)


def test_the_file_of_a_key_is_small() -> None:
    sign(CONTENT)
    (path,) = get_settings().trusted_keys_dir.glob("*.pub")
    assert path.stat().st_size < signing.KEY_FILE_BYTES_MAX
