"""Hostile, broken and mistaken artefacts: each is refused, nothing in it runs, and the model before it still serves.

Every attack is tried on both kinds of model. Some are carried out with the platform's own signing key, as a trainer
that was deceived would: then the checks behind the signature must hold.
"""

import base64
import gzip
import io
import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import xgboost
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

import ml_models.artefact
import rl_trading.artefact
from core.config import get_settings
from core.errors import ArtefactRefused, InputError
from registry import artefact, signing
from registry.artefact import MANIFEST_FILE, SIGNATURE_FILE
from registry.signing import name_of, rotate_key
from rl_trading.graph import check_graph
from rl_trading.observation import CONTEXT_COLUMNS, STOCK_COLUMNS
from rl_trading.windows import STOCKS

KINDS = ("screener", "allocator")
FEATURES = ("a", "b")
MODEL_FILE = {"screener": "model.ubj", "allocator": "policy.onnx"}
NAME = {"screener": "screener-toy", "allocator": "allocator"}


def grow(seed: int, features: tuple[str, ...] = FEATURES) -> bytes:
    """Trees of a few rounds, in UBJSON."""
    X = np.random.default_rng(seed).normal(size=(60, 2)).astype(np.float32)
    rows = xgboost.DMatrix(X, label=(X[:, 0] > 0).astype(np.float32), feature_names=list(features))
    return bytes(xgboost.train({"objective": "binary:logistic", "nthread": 1}, rows, 2).save_raw(raw_format="ubj"))


def graph(seed: int, change: Callable[[Any], None] = lambda model: None) -> bytes:
    """The smallest graph with a policy's inputs and outputs, after `change`: what is held, times a number."""
    sizes = {"stocks": [STOCKS, len(STOCK_COLUMNS)], "mask": [STOCKS], "context": [len(CONTEXT_COLUMNS)]}
    sizes |= {"weights": [STOCKS], "account": [2]}
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["b", *size]) for name, size in sizes.items()]
    outputs = [
        helper.make_tensor_value_info("allocation", TensorProto.FLOAT, ["b", STOCKS + 1]),
        helper.make_tensor_value_info("seeds", TensorProto.FLOAT, [1, "b", STOCKS + 1]),
    ]
    constants = {"scale": np.array([float(seed)], dtype=np.float32), "zero": np.array([0]), "one": np.array([1])}
    nodes = [
        helper.make_node("Mul", ["weights", "scale"], ["held"]),
        helper.make_node("ReduceSum", ["account", "one"], ["cash"], keepdims=1),
        helper.make_node("Concat", ["held", "cash"], ["allocation"], axis=1),
        helper.make_node("Unsqueeze", ["allocation", "zero"], ["seeds"]),
    ]
    initializer = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    model = helper.make_model(
        helper.make_graph(nodes, "toy", inputs, outputs, initializer=initializer),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=10,
    )
    change(model)
    content: bytes = model.SerializeToString()
    return content


@dataclass(frozen=True)
class Stored:
    """One artefact on disk and what the database knows of it."""

    kind: str
    folder: Path
    digest: str

    @property
    def model(self) -> Path:
        """Its model's file."""
        return self.folder / MODEL_FILE[self.kind]

    def load(self) -> Any:
        """As the night does, and not from memory."""
        if self.kind == "screener":
            return ml_models.artefact.load(self.folder, expected_sha256=self.digest, features=FEATURES)
        rl_trading.artefact.load.cache_clear()
        return rl_trading.artefact.load(self.folder, self.digest)


def store(root: Path, kind: str, *, year: int, content: bytes | None = None) -> Stored:
    """Save a model as training does."""
    if kind == "screener":
        files, columns = {MODEL_FILE[kind]: content or grow(year)}, {"algorithm": "xgboost", "features": FEATURES}
    else:
        files, columns = {MODEL_FILE[kind]: content or graph(year)}, columns_here()
    folder, digest, _ = artefact.save(root, name=NAME[kind], label=str(year), files=files, description=columns)
    return Stored(kind, root / folder, digest)


def columns_here() -> dict[str, Any]:
    return {"stocks": STOCKS, "stock_columns": list(STOCK_COLUMNS), "context_columns": list(CONTEXT_COLUMNS)}


def sign_anew(stored: Stored, content: bytes) -> Stored:
    """Replace the manifest and sign it with the trusted key, and let the database know its hash."""
    (stored.folder / MANIFEST_FILE).write_bytes(content)
    record = json.dumps(signing.sign(content), indent=1, sort_keys=True).encode()
    (stored.folder / SIGNATURE_FILE).write_bytes(record)
    return Stored(stored.kind, stored.folder, sha256(content).hexdigest())


def change_manifest(stored: Stored, change: Callable[[dict[str, Any]], object]) -> Stored:
    manifest = json.loads((stored.folder / MANIFEST_FILE).read_bytes())
    change(manifest)
    return sign_anew(stored, json.dumps(manifest, indent=1, sort_keys=True).encode())


def replace_model(stored: Stored, content: bytes) -> Stored:
    """Other bytes in place of the model, listed and signed."""
    stored.model.write_bytes(content)
    return change_manifest(stored, lambda manifest: manifest["files"].update({stored.model.name: entry(content)}))


def add_file(stored: Stored, name: str, content: bytes) -> Stored:
    """One file more, listed and signed."""
    (stored.folder / name).write_bytes(content)
    return change_manifest(stored, lambda manifest: manifest["files"].update({name: entry(content)}))


def rename_entry(stored: Stored, name: str) -> Stored:
    """List the model's file under another name, signed."""
    return change_manifest(
        stored, lambda manifest: manifest["files"].update({name: manifest["files"].pop(stored.model.name)})
    )


def entry(content: bytes) -> dict[str, Any]:
    return {"sha256": sha256(content).hexdigest(), "size_bytes": len(content)}


class Bomb:
    """Leaves a mark where it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self._canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._canary,)


@dataclass(frozen=True)
class Scene:
    """What an attacker finds: the model to attack, another of the same kind, and where a payload leaves its mark."""

    victim: Stored
    other: Stored
    canary: Path

    @property
    def bomb(self) -> bytes:
        """A pickle that runs code."""
        return pickle.dumps(Bomb(self.canary))


def sign_as_stranger(scene: Scene) -> Stored:
    stranger, content = Ed25519PrivateKey.generate(), (scene.victim.folder / MANIFEST_FILE).read_bytes()
    record = {
        "algorithm": "ed25519",
        "key_id": name_of(stranger.public_key()),
        "signature": base64.b64encode(stranger.sign(b"acis model manifest\n" + content)).decode(),
    }
    (scene.victim.folder / SIGNATURE_FILE).write_text(json.dumps(record, indent=1, sort_keys=True))
    return scene.victim


def sign_as_stranger_under_our_name(scene: Scene) -> Stored:
    sign_as_stranger(scene)
    path = scene.victim.folder / SIGNATURE_FILE
    record = json.loads(path.read_text()) | {"key_id": signing.own_key_id()}
    path.write_text(json.dumps(record, indent=1, sort_keys=True))
    return scene.victim


def retire_the_key(scene: Scene) -> Stored:
    before, _ = rotate_key()
    (get_settings().trusted_keys_dir / f"{before}.pub").unlink()
    return scene.victim


def drop(name: str, content: Callable[[Scene], bytes]) -> Callable[[Scene], Stored]:
    """A file more in the folder, not listed."""

    def attack(scene: Scene) -> Stored:
        (scene.victim.folder / name).write_bytes(content(scene))
        return scene.victim

    return attack


def overwrite(name: str | None, content: Callable[[Scene], bytes]) -> Callable[[Scene], Stored]:
    """Other bytes in one file (None: the model's)."""

    def attack(scene: Scene) -> Stored:
        (scene.victim.folder / (name or scene.victim.model.name)).write_bytes(content(scene))
        return scene.victim

    return attack


def copy_from_other(name: str | None) -> Callable[[Scene], Stored]:
    def attack(scene: Scene) -> Stored:
        file = name or scene.victim.model.name
        shutil.copy(scene.other.folder / file, scene.victim.folder / file)
        return scene.victim

    return attack


def move_other_here(scene: Scene) -> Stored:
    shutil.rmtree(scene.victim.folder)
    shutil.copytree(scene.other.folder, scene.victim.folder)
    return scene.victim


def call_other_by_our_name(scene: Scene) -> Stored:
    """The other model's folder and its own hash, under the name of the attacked one."""
    move_other_here(scene)
    return Stored(scene.victim.kind, scene.victim.folder, scene.other.digest)


def link_model(scene: Scene) -> Stored:
    outside = scene.canary.parent / "outside.bin"
    shutil.move(scene.victim.model, outside)
    scene.victim.model.symlink_to(outside)
    return scene.victim


def link_manifest(scene: Scene) -> Stored:
    path = scene.victim.folder / MANIFEST_FILE
    outside = scene.canary.parent / "outside.json"
    shutil.move(path, outside)
    path.symlink_to(outside)
    return scene.victim


def link_folder(scene: Scene) -> Stored:
    outside = scene.canary.parent / "outside"
    shutil.move(scene.victim.folder, outside)
    scene.victim.folder.symlink_to(outside)
    return scene.victim


def link_parent(scene: Scene) -> Stored:
    outside = scene.canary.parent / "outside"
    parent = scene.victim.folder.parent
    shutil.copytree(parent, outside / parent.name)
    elsewhere = scene.canary.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / parent.name).symlink_to(outside / parent.name)
    return Stored(scene.victim.kind, elsewhere / parent.name / scene.victim.folder.name, scene.victim.digest)


def climb(scene: Scene) -> Stored:
    folder = scene.victim.folder
    roundabout = folder.parent / ".." / folder.parent.name / folder.name
    return Stored(scene.victim.kind, roundabout, scene.victim.digest)


def cut(scene: Scene) -> Stored:
    scene.victim.model.write_bytes(scene.victim.model.read_bytes()[:-7])
    return scene.victim


def lengthen(scene: Scene) -> Stored:
    with scene.victim.model.open("ab") as file:
        file.write(b"}")
    return scene.victim


def swell(name: str | None) -> Callable[[Scene], Stored]:
    """A file of a terabyte, that takes no place on the disk."""

    def attack(scene: Scene) -> Stored:
        os.truncate(scene.victim.folder / (name or scene.victim.model.name), 1 << 40)
        return scene.victim

    return attack


def pipe(scene: Scene) -> Stored:
    scene.victim.model.unlink()
    os.mkfifo(scene.victim.model)
    return scene.victim


def folder_for_file(scene: Scene) -> Stored:
    scene.victim.model.unlink()
    scene.victim.model.mkdir()
    return scene.victim


def without(name: str | None) -> Callable[[Scene], Stored]:
    def attack(scene: Scene) -> Stored:
        (scene.victim.folder / (name or scene.victim.model.name)).unlink()
        return scene.victim

    return attack


def other_columns(manifest: dict[str, Any]) -> None:
    for key in ("features", "stock_columns"):
        if key in manifest:
            manifest[key] = manifest[key][::-1]


def raw_manifest(change: Callable[[bytes], bytes]) -> Callable[[Scene], Stored]:
    """A change of the manifest's text, signed."""
    return lambda scene: sign_anew(scene.victim, change((scene.victim.folder / MANIFEST_FILE).read_bytes()))


def manifest(change: Callable[[dict[str, Any]], object]) -> Callable[[Scene], Stored]:
    """A change of the manifest's content, signed."""
    return lambda scene: change_manifest(scene.victim, change)


def model(content: Callable[[Scene], bytes]) -> Callable[[Scene], Stored]:
    """Other content in place of the model, listed and signed."""
    return lambda scene: replace_model(scene.victim, content(scene))


def zipped(scene: Scene) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("data.pkl", scene.bomb + bytes(1 << 22))
    return archive.getvalue()


def ml_model(scene: Scene) -> bytes:
    return f"flavors:\n  python_function:\n    loader_module: {scene.canary.stem}\n    data: model\n".encode()


def nested(levels: int) -> Callable[[bytes], bytes]:
    return lambda content: content.replace(b"{", b'{"x": ' + b"[" * levels + b"]" * levels + b",", 1)


ATTACKS: dict[str, tuple[Callable[[Scene], Stored], str]] = {
    # Not what was registered.
    "manifest edited": (overwrite(MANIFEST_FILE, lambda scene: b"{}"), "not the one that was registered"),
    "manifest of another model": (copy_from_other(MANIFEST_FILE), "not the one that was registered"),
    "model of another artefact": (copy_from_other(None), "is not the file of its manifest|more than the"),
    "whole folder of another artefact": (move_other_here, "not the one that was registered"),
    "another artefact and its own hash": (call_other_by_our_name, "in the folder of another model"),
    "pickle in place of the model": (
        overwrite(None, lambda scene: scene.bomb),
        "not the file of its manifest|more than",
    ),
    "model cut off": (cut, "is not the file of its manifest"),
    "model emptied": (overwrite(None, lambda scene: b""), "is not the file of its manifest"),
    "model a byte longer": (lengthen, "more than the"),
    "model of a terabyte": (swell(None), "has 1099511627776 bytes"),
    "manifest of a terabyte": (swell(MANIFEST_FILE), "has 1099511627776 bytes"),
    "signature of a terabyte": (swell(SIGNATURE_FILE), "has 1099511627776 bytes"),
    "model missing": (without(None), "it lacks"),
    "manifest missing": (without(MANIFEST_FILE), "cannot be read"),
    # Nobody trusted vouches for it.
    "no signature": (without(SIGNATURE_FILE), "it is not signed"),
    "empty signature": (overwrite(SIGNATURE_FILE, lambda scene: b""), "JSON cannot be read"),
    "signature that is a pickle": (overwrite(SIGNATURE_FILE, lambda scene: scene.bomb), "JSON cannot be read"),
    "signed by a stranger": (sign_as_stranger, "not among the trusted keys"),
    "signed by a stranger under our name": (sign_as_stranger_under_our_name, "does not belong to its manifest"),
    "signed by a key that was retired": (retire_the_key, "not among the trusted keys"),
    "signature of another manifest": (copy_from_other(SIGNATURE_FILE), "does not belong to its manifest"),
    # Not in its place.
    "model is a link": (link_model, "cannot be read"),
    "manifest is a link": (link_manifest, "cannot be read"),
    "folder is a link": (link_folder, "not a folder that can be read"),
    "parent is a link": (link_parent, "symbolic link"),
    "path climbs": (climb, "leads out of its folder"),
    "model is a pipe": (pipe, "not a plain file"),
    "model is a folder": (folder_for_file, "not a plain file"),
    # More than is listed.
    "MLmodel with a loader module": (drop("MLmodel", ml_model), "does not list"),
    "python beside it": (drop("sitecustomize.py", lambda scene: b"raise SystemExit"), "does not list"),
    "pickle beside it": (drop("python_model.pkl", lambda scene: scene.bomb), "does not list"),
    "hidden file": (drop(".hidden", lambda scene: b"x"), "does not list"),
    # Signed by a trainer that was deceived.
    "signed: pickle in place of the model": (model(lambda scene: scene.bomb), "is not an? "),
    "signed: old pickle in place of the model": (
        model(lambda scene: pickle.dumps(Bomb(scene.canary), protocol=0)),
        "is not an? ",
    ),
    "signed: gzip bomb": (model(lambda scene: gzip.compress(bytes(1 << 24))), "is not an? "),
    "signed: zip with a pickle": (model(zipped), "is not an? "),
    "signed: page of HTML": (model(lambda scene: b"<html>"), "is not an? "),
    "signed: MLmodel listed": (lambda scene: add_file(scene.victim, "MLmodel", ml_model(scene)), "not a plain name"),
    "signed: pickle listed": (lambda scene: add_file(scene.victim, "model.pkl", scene.bomb), "not a plain name"),
    "signed: library listed": (lambda scene: add_file(scene.victim, "ops.so", b"\x7fELF"), "not a plain name"),
    "signed: pickle called JSON": (lambda scene: add_file(scene.victim, "x.json", scene.bomb), "JSON cannot be read"),
    "signed: pickle called text": (lambda scene: add_file(scene.victim, "x.txt", scene.bomb), "not a text of trees"),
    "signed: path that climbs": (lambda scene: rename_entry(scene.victim, "../evil.ubj"), "not a plain name"),
    "signed: absolute path": (lambda scene: rename_entry(scene.victim, "/etc/evil.ubj"), "not a plain name"),
    "signed: path into a folder": (lambda scene: rename_entry(scene.victim, "a/b.ubj"), "not a plain name"),
    "signed: name with a null": (lambda scene: rename_entry(scene.victim, "a\0.ubj"), "not a plain name"),
    "signed: manifest lists itself": (lambda scene: rename_entry(scene.victim, MANIFEST_FILE), "not a plain name"),
    "signed: old format": (manifest(lambda m: m.update(format=1)), "its format is 1, this code reads 2"),
    "signed: no format": (manifest(lambda m: m.pop("format")), "its format is None"),
    "signed: other columns": (manifest(other_columns), "(features|stock_columns) differ from what is at hand"),
    "signed: no columns": (manifest(lambda m: [m.pop(k, 0) for k in ("features", "stocks")]), "differ from what"),
    "signed: no files": (manifest(lambda m: m.update(files={})), "1 to 64 files"),
    "signed: files are a list": (manifest(lambda m: m.update(files=["model.ubj"])), "1 to 64 files"),
    "signed: hash is a number": (
        manifest(lambda m: next(iter(m["files"].values())).update(sha256=7)),
        "must give sha256 and size_bytes",
    ),
    "signed: size without end": (
        manifest(lambda m: next(iter(m["files"].values())).update(size_bytes=1 << 40)),
        "must have 1 to",
    ),
    "signed: negative size": (
        manifest(lambda m: next(iter(m["files"].values())).update(size_bytes=-1)),
        "must have 1 to",
    ),
    "signed: another model's name": (manifest(lambda m: m.update(name="screener-other")), "folder of another model"),
    "signed: name that climbs": (manifest(lambda m: m.update(name="../x")), "not a plain name"),
    "signed: key twice": (raw_manifest(lambda text: text.replace(b"{", b'{"format": 2,', 1)), "stands there twice"),
    "signed: NaN": (raw_manifest(lambda text: text.replace(b"{", b'{"x": NaN,', 1)), "not a number of JSON"),
    "signed: number beyond numbers": (raw_manifest(lambda text: text.replace(b"{", b'{"x": 1e999,', 1)), "than any"),
    "signed: endless number": (
        raw_manifest(lambda text: text.replace(b"{", b'{"x": ' + b"9" * 5000 + b",", 1)),
        "read",
    ),
    "signed: deep": (raw_manifest(nested(40)), "nested more than 16 deep"),
    "signed: very deep": (raw_manifest(nested(100_000)), "JSON cannot be read"),
    "signed: not UTF-8": (raw_manifest(lambda text: b"\xff" + text), "JSON cannot be read"),
    "signed: not an object": (raw_manifest(lambda text: b"[" + text + b"]"), "not an object"),
}


@pytest.fixture(autouse=True)
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installation of the test's own, with its own key; returns its folder of models."""
    monkeypatch.setenv("ACIS_VAR_DIR", str(tmp_path / "var"))
    get_settings.cache_clear()
    yield get_settings().models_dir
    get_settings.cache_clear()


@pytest.fixture(scope="module")
def contents() -> dict[tuple[str, int], bytes]:
    """Three models of each kind, made once."""
    return {("screener", year): grow(year) for year in (2016, 2017, 2018)} | {
        ("allocator", year): graph(year) for year in (2016, 2017, 2018)
    }


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def previous(kind: str, installation: Path, contents: Mapping[tuple[str, int], bytes]) -> Stored:
    """The model that served before."""
    return store(installation, kind, year=2016, content=contents[kind, 2016])


@pytest.fixture
def scene(
    kind: str, installation: Path, contents: Mapping[tuple[str, int], bytes], tmp_path: Path, previous: Stored
) -> Scene:
    return Scene(
        victim=store(installation, kind, year=2017, content=contents[kind, 2017]),
        other=store(installation, kind, year=2018, content=contents[kind, 2018]),
        canary=tmp_path / "canary",
    )


class TestHostile:
    @pytest.mark.parametrize("name", ATTACKS)
    def test_is_refused_runs_nothing_and_leaves_the_model_before_in_service(
        self, name: str, scene: Scene, previous: Stored
    ) -> None:
        attack, complaint = ATTACKS[name]
        scene.victim.load()
        attacked = attack(scene)
        with pytest.raises(ArtefactRefused, match=complaint) as refused:
            attacked.load()
        assert not scene.canary.exists(), "it ran"
        assert str(attacked.folder) in str(refused.value)
        assert f"acis train {scene.victim.kind}" in str(refused.value)
        if name != "signed by a key that was retired":
            previous.load()

    def test_the_bomb_goes_off_where_it_is_unpickled(self, scene: Scene) -> None:
        pickle.loads(scene.bomb)
        assert scene.canary.exists()

    def test_there_are_more_than_twelve_kinds(self) -> None:
        assert len(ATTACKS) > 12

    def test_every_kind_reads_until_something_is_wrong_with_it(self, scene: Scene) -> None:
        """What the attacks start from is whole: signed anew, listed anew, it loads."""
        replace_model(scene.victim, scene.victim.model.read_bytes()).load()
        change_manifest(scene.victim, lambda content: content.update(note="x")).load()
        add_file(scene.victim, "more.json", b"{}").load()


class TestFlippedBytes:
    @pytest.mark.parametrize("name", [MANIFEST_FILE, SIGNATURE_FILE, None])
    @pytest.mark.parametrize("place", [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.9999])
    def test_in_each_region_of_each_file(self, scene: Scene, name: str | None, place: float) -> None:
        path = scene.victim.folder / (name or scene.victim.model.name)
        data = bytearray(path.read_bytes())
        data[int(place * len(data))] ^= 0xFF
        path.write_bytes(data)
        with pytest.raises(ArtefactRefused):
            scene.victim.load()

    @pytest.mark.parametrize("kind", ["allocator"], indirect=True)
    @pytest.mark.parametrize("bit", range(8))
    def test_every_bit_of_the_signature_counts(self, scene: Scene, bit: int) -> None:
        path = scene.victim.folder / SIGNATURE_FILE
        content = path.read_bytes()
        for place in range(len(content)):
            path.write_bytes(content[:place] + bytes([content[place] ^ (1 << bit)]) + content[place + 1 :])
            with pytest.raises(ArtefactRefused):
                artefact.load(scene.victim.folder, expected_sha256=scene.victim.digest, expected={})


class TestTrees:
    """What only the screeners' room can tell."""

    def test_that_name_other_features_than_their_manifest(self, installation: Path) -> None:
        stored = store(installation, "screener", year=2017, content=grow(1, ("b", "a")))
        with pytest.raises(ArtefactRefused, match="its files name other features than its manifest"):
            stored.load()

    @pytest.mark.parametrize("content", [b"{}", b"{L}", b"{i\x01xi\x01}", b"{L" + b"\xff" * 200 + b"}"])
    def test_that_are_no_trees(self, installation: Path, content: bytes) -> None:
        with pytest.raises(ArtefactRefused):
            store(installation, "screener", year=2017, content=content).load()

    def test_other_features_than_are_at_hand(self, installation: Path) -> None:
        stored = store(installation, "screener", year=2017)
        with pytest.raises(ArtefactRefused, match="features differ"):
            ml_models.artefact.load(stored.folder, expected_sha256=stored.digest, features=("a", "c"))

    @pytest.mark.parametrize("algorithm", [None, 7, ["xgboost"], {}, "pickle", "../xgboost"])
    def test_of_an_algorithm_that_is_none_of_ours(self, installation: Path, algorithm: object) -> None:
        stored = store(installation, "screener", year=2017)
        with pytest.raises(ArtefactRefused, match=r"its algorithm .* is none of"):
            change_manifest(stored, lambda content: content.update(algorithm=algorithm)).load()

    @pytest.mark.parametrize(
        ("algorithm", "files"),
        [
            ("xgboost", {"model.txt": b"tree\n"}),
            ("lightgbm", {"model.txt": b"tree\n"}),
            ("lightgbm", {"model.txt": b"tree\nversion=v4\nnum_class=0\n"}),
            ("lightgbm", {"model.json": b"{}"}),
            ("elastic_net", {"model.json": b"{}"}),
            ("elastic_net", {"model.json": b'{"features": 1, "medians": 2, "deviations": 3, "coefficients": 4}'}),
            ("ensemble", {"ensemble.json": b"{}"}),
            ("ensemble", {"ensemble.json": b'{"weights": [1.0]}'}),
        ],
    )
    def test_that_its_algorithm_cannot_read(self, installation: Path, algorithm: str, files: dict[str, bytes]) -> None:
        folder, digest, _ = artefact.save(
            installation,
            name="screener-toy",
            label="2017",
            files=files,
            description={"features": FEATURES, "algorithm": algorithm},
        )
        with pytest.raises(ArtefactRefused):
            ml_models.artefact.load(installation / folder, expected_sha256=digest, features=FEATURES)

    def test_under_another_name(self, installation: Path) -> None:
        stored = rename_entry(store(installation, "screener", year=2017), "trees.ubj")
        (stored.folder / "model.ubj").rename(stored.folder / "trees.ubj")
        with pytest.raises(ArtefactRefused):
            stored.load()


def keep_data_elsewhere(content: Any) -> None:
    tensor = content.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../../../etc/passwd"


def hide_data_elsewhere(content: Any) -> None:
    """External data without the flag that says so."""
    entry = content.graph.initializer[0].external_data.add()
    entry.key, entry.value = "location", "weights.bin"


def attach_data_elsewhere(content: Any) -> None:
    tensor = numpy_helper.from_array(np.ones(1, dtype=np.float32), "value")
    tensor.data_location = TensorProto.EXTERNAL
    content.graph.node.append(helper.make_node("Constant", [], ["unused"], value=tensor))


def use_foreign_operator(content: Any) -> None:
    content.graph.node[0].domain = "com.evil"
    content.opset_import.append(helper.make_opsetid("com.evil", 1))


def import_foreign_operators(content: Any) -> None:
    content.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def use_operator(name: str) -> Callable[[Any], None]:
    def change(content: Any) -> None:
        content.graph.node[0].op_type = name

    return change


def branch(content: Any) -> None:
    inner = helper.make_graph([], "inner", [], [])
    content.graph.node.append(helper.make_node("If", ["mask"], ["z"], then_branch=inner, else_branch=inner))


def nest(content: Any) -> None:
    inner = helper.make_graph([], "inner", [], [])
    content.graph.node[0].attribute.append(helper.make_attribute("body", inner))


def add_function(content: Any) -> None:
    node = helper.make_node("Mul", ["x", "x"], ["y"])
    content.functions.append(helper.make_function("com.evil", "f", ["x"], ["y"], [node], [helper.make_opsetid("", 18)]))


def add_notes(content: Any) -> None:
    entry = content.metadata_props.add()
    entry.key, entry.value = "loader_module", "evil"


def add_training(content: Any) -> None:
    content.training_info.add().algorithm.name = "steps"


def contradict(content: Any) -> None:
    """Each part is allowed; together they make no sense."""
    content.graph.node[0].input[0] = "nowhere"


def run_in_circles(content: Any) -> None:
    content.graph.node[0].input[0] = "allocation"


def give_something_else(content: Any) -> None:
    content.graph.output[0].name = "seeds"
    content.graph.output[1].name = "allocation"


def take_fewer_stocks(content: Any) -> None:
    content.graph.input[0].type.tensor_type.shape.dim[1].dim_value = STOCKS - 1


def take_text(content: Any) -> None:
    content.graph.input[0].type.tensor_type.elem_type = TensorProto.STRING


def age(content: Any) -> None:
    content.opset_import[0].version = 7


def import_nothing(content: Any) -> None:
    content.opset_import[0].version = 99


GRAPHS: dict[str, tuple[Callable[[Any], None], str]] = {
    "external data": (keep_data_elsewhere, "keeps data in another file"),
    "external data without its flag": (hide_data_elsewhere, "keeps data in another file"),
    "external data in a constant": (attach_data_elsewhere, "keeps data in another file"),
    "operator of a foreign domain": (use_foreign_operator, "domain b'com.evil'"),
    "operators of a foreign domain imported": (import_foreign_operators, "domain b'com.microsoft'"),
    "random numbers": (use_operator("RandomUniformLike"), "operator b'RandomUniformLike'"),
    "text": (use_operator("StringNormalizer"), "operator b'StringNormalizer'"),
    "branch": (branch, "graphs in graphs"),
    "graph inside an attribute": (nest, "graphs in graphs"),
    "function": (add_function, "field 25 of a model"),
    "notes": (add_notes, "field 14 of a model"),
    "training": (add_training, "field 20 of a model"),
    "old operators": (age, "version 7"),
    "tensors from nowhere": (contradict, "onnxruntime cannot read"),
    "a circle": (run_in_circles, "onnxruntime cannot read"),
    "other outputs": (give_something_else, "onnxruntime cannot read|other tensors than a policy"),
    "fewer stocks": (take_fewer_stocks, "onnxruntime cannot read|other tensors than a policy"),
    "text for numbers": (take_text, "onnxruntime cannot read|other tensors than a policy"),
    "operators to come": (import_nothing, "version 99"),
}


class TestGraphs:
    """What only the allocator's room can tell."""

    @pytest.mark.parametrize("name", GRAPHS)
    def test_that_no_policy_is(self, installation: Path, name: str) -> None:
        change, complaint = GRAPHS[name]
        with pytest.raises(ArtefactRefused, match=complaint):
            store(installation, "allocator", year=2017, content=graph(1, change)).load()

    @pytest.mark.parametrize("length", range(0, 80, 3))
    def test_cut_off_anywhere(self, installation: Path, length: int) -> None:
        with pytest.raises(ArtefactRefused):
            store(installation, "allocator", year=2017, content=graph(1)[: length + 1]).load()

    @given(st.binary(max_size=200))
    def test_noise(self, content: bytes) -> None:
        assert check_graph(content) is not None

    def test_the_smallest_one_passes(self) -> None:
        content = graph(1)
        onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
        assert check_graph(content) is None


class TestPlace:
    def test_lies_below_the_folder_of_models(self, installation: Path, previous: Stored) -> None:
        name = str(previous.folder.relative_to(installation))
        assert artefact.place(name) == previous.folder

    @pytest.mark.parametrize(
        "name",
        [
            "/etc/passwd",
            "../x",
            "a/../../b",
            "a/..",
            "./a",
            "a",
            "a/b/c",
            "a//b",
            "",
            "a/b\n",
            "a/b\0",
            "~/b",
            "a\\b/c",
        ],
    )
    def test_whatever_leads_elsewhere_is_refused(self, name: str) -> None:
        with pytest.raises(ArtefactRefused, match="does not lie in"):
            artefact.place(name)


class TestSave:
    def test_says_what_is_there(self, installation: Path) -> None:
        files = {"b.json": b"{}", "a.json": b'{"x": 1}'}
        folder, digest, said = artefact.save(
            installation, name="screener-toy", label="2017", files=files, description={"columns": ("a", "b")}
        )
        assert folder == f"screener-toy/2017-{digest[:16]}"
        assert sha256((installation / folder / MANIFEST_FILE).read_bytes()).hexdigest() == digest
        assert json.loads((installation / folder / MANIFEST_FILE).read_bytes()) == said
        assert said["files"] == {name: entry(content) for name, content in files.items()}
        assert said["columns"] == ["a", "b"]
        loaded = artefact.load(installation / folder, expected_sha256=digest, expected={"columns": ("a", "b")})
        assert loaded.files == files
        assert loaded.manifest == said

    def test_twice_touches_nothing(self, kind: str, installation: Path, previous: Stored) -> None:
        before = previous.model.stat().st_mtime_ns
        assert store(installation, kind, year=2016) == previous
        assert previous.model.stat().st_mtime_ns == before

    @pytest.mark.parametrize("attack", [cut, lengthen, without(SIGNATURE_FILE), without(None), link_model, link_folder])
    def test_makes_a_broken_one_whole(
        self, kind: str, installation: Path, scene: Scene, attack: Callable[[Scene], Stored]
    ) -> None:
        attack(scene)
        assert store(installation, kind, year=2017) == scene.victim
        scene.victim.load()

    def test_signs_anew_what_a_retired_key_had_signed(self, kind: str, installation: Path, scene: Scene) -> None:
        retire_the_key(scene)
        assert store(installation, kind, year=2017) == scene.victim
        scene.victim.load()

    def test_leaves_nothing_half_done(self, previous: Stored) -> None:
        assert [path.name for path in previous.folder.parent.iterdir()] == [previous.folder.name]
        assert {path.name for path in previous.folder.iterdir()} == {
            MANIFEST_FILE,
            SIGNATURE_FILE,
            previous.model.name,
        }

    def test_a_key_that_cannot_sign_leaves_nothing_behind(
        self, installation: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ACIS_SIGNING_KEY", "/nowhere/key.pem")
        get_settings.cache_clear()
        with pytest.raises(InputError, match="does not exist"):
            store(installation, "screener", year=2017)
        assert not installation.exists()

    @pytest.mark.parametrize(
        ("change", "complaint"),
        [
            ({"name": "../x"}, "not a plain name"),
            ({"label": "a/b"}, "not a plain name"),
            ({"label": ""}, "not a plain name"),
            ({"files": {}}, "1 to 64 files"),
            ({"files": {"../a.json": b"{}"}}, "not a plain name"),
            ({"files": {"a.pkl": b"{}"}}, "not a plain name"),
            ({"files": {"a.json": b""}}, "must have 1 to"),
            ({"files": {"a.json": b'{"a": 1, "a": 2}'}}, "stands there twice"),
            ({"files": {"a.txt": b"\x80\x04"}}, "not a text of trees"),
        ],
    )
    def test_refuses_what_could_not_be_loaded(self, installation: Path, change: dict[str, Any], complaint: str) -> None:
        good: dict[str, Any] = {"name": "toy", "label": "1", "files": {"a.json": b"{}"}, "description": {}}
        with pytest.raises(ArtefactRefused, match=complaint):
            artefact.save(installation, **{**good, **change})
        assert not installation.exists()

    def test_text_of_trees_passes(self, installation: Path) -> None:
        """LightGBM's own format begins like this."""
        folder, digest, _ = artefact.save(
            installation, name="toy", label="1", files={"m.txt": b"tree\nversion=v4\n"}, description={}
        )
        artefact.load(installation / folder, expected_sha256=digest, expected={})
