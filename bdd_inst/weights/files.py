"""Where a weight file is: a path, or ``detectron2://`` and ``https://`` addresses kept in a cache folder, ``package://`` names."""

from __future__ import annotations

import hashlib
import http.client
import logging
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from iopath.common.file_io import file_lock

from bdd_inst.base.cache_folder import VARIABLE, cache_folder
from bdd_inst.base.errors import ConfigError, DataError
from bdd_inst.weights.download import download, is_intact
from bdd_inst.weights.packages import find_in_package
from bdd_inst.weights.reader import read_weights

DETECTRON2_PREFIX = "https://dl.fbaipublicfiles.com/detectron2/"
# Files of Detectron2's predecessor that its zoo starts from, by the names of its catalog.
CATALOG_PREFIX = "https://dl.fbaipublicfiles.com/detectron/ImageNetPretrained/"
CATALOG = {
    "MSRA/R-50": "MSRA/R-50.pkl",
    "MSRA/R-101": "MSRA/R-101.pkl",
    "FAIR/R-50-GN": "47261647/R-50-GN.pkl",
    "FAIR/R-101-GN": "47592356/R-101-GN.pkl",
    "FAIR/X-101-32x8d": "20171220/X-101-32x8d.pkl",
    "FAIR/X-101-64x4d": "FBResNeXt/X-101-64x4d.pkl",
    "FAIR/X-152-32x8d-IN5k": "25093814/X-152-32x8d-IN5k.pkl",
}
FROM_SCRATCH = 'MODEL.WEIGHTS "" MODEL.RESNETS.NORM GN MODEL.BACKBONE.FREEZE_AT 0'

# Detectron2's zoo puts the first six digits of a file's md5 into its name (its MODEL_ZOO.md says so), torch.hub eight or more of its
# sha256 (torch.hub.load_state_dict_from_url, check_hash).
_CHECKSUMS = [
    (re.compile(r"model_final_([0-9a-f]{6})\.pkl"), "md5"),
    (re.compile(r".*-([0-9a-f]{8,64})\.pth"), "sha256"),
]
logger = logging.getLogger(__name__)


def find_weights(source: str | os.PathLike) -> Path:
    """The local file for MODEL.WEIGHTS: downloaded once if it is an address, into ``cache_folder()``;
    of ``package://NAME``, the file that an installed package brings.

    Raises:
        ConfigError: an address of a kind that is not supported.
        DataError: the file is missing, cannot be downloaded, or differs from its checksum.
    """
    text = os.fspath(source)
    scheme = text.split("://", 1)[0].lower() if "://" in text else ""
    if scheme == "detectron2":
        return _cached(
            urllib.parse.urljoin(DETECTRON2_PREFIX, text.split("://", 1)[1].lstrip("/")), text
        )
    if scheme == "catalog":
        return _cached(_catalog_url(text), text)
    if scheme == "https":
        return _cached(text, text)
    if scheme == "file":
        return _local(urllib.request.url2pathname(urllib.parse.urlsplit(text).path))
    if scheme == "package":
        return find_in_package(text)
    if scheme:
        raise ConfigError(
            f"MODEL.WEIGHTS {text}: {scheme}:// is not supported; use a path, https://, detectron2://, catalog:// or package://"
        )
    return _local(text)


def _catalog_url(text: str) -> str:
    """Where a name of Detectron2's catalog lies."""
    name = text.split("://", 1)[1].removeprefix("ImageNetPretrained/")
    if name not in CATALOG:
        known = ", ".join(f"catalog://ImageNetPretrained/{key}" for key in CATALOG)
        raise ConfigError(f"MODEL.WEIGHTS {text}: is not in the catalog; there are {known}")
    return urllib.parse.urljoin(CATALOG_PREFIX, CATALOG[name])


def known_checksum(name: str) -> tuple[str, str] | None:
    """``(algorithm, first hex digits)`` where a file name carries them, else None."""
    for pattern, algorithm in _CHECKSUMS:
        match = pattern.fullmatch(name)
        if match:
            return algorithm, match[1]
    return None


def _local(text: str) -> Path:
    path = Path(text).expanduser()
    if path.is_dir():
        found = sorted(
            p.name for p in path.iterdir() if p.suffix in (".pth", ".pkl", ".ckpt", ".safetensors")
        )
        raise DataError(
            f"MODEL.WEIGHTS {text}: a folder; name a file in it ({', '.join(found[:5]) or 'it has no weight file'})"
        )
    if not path.is_file():
        raise DataError(
            f"MODEL.WEIGHTS {text}: no such file (looked at {path.absolute()}); put it there, give another path, "
            f"or train from scratch with {FROM_SCRATCH}"
        )
    if not _matches_checksum(path):
        logger.warning(
            "%s: its content does not have the checksum in its name; it was changed, renamed or cut short",
            path,
        )
    return path


def _cached(url: str, source: str) -> Path:
    """The file of ``url``: from our cache, from a cache of fvcore or torch.hub, or from the network."""
    parts = urllib.parse.urlsplit(url)
    inside = [part for part in parts.path.split("/") if part]
    if not inside or ".." in inside:
        raise ConfigError(f"MODEL.WEIGHTS {source}: names no file")
    home = cache_folder()
    # Addresses that differ in their query alone are different files.
    query = [hashlib.sha256(parts.query.encode()).hexdigest()[:16]] if parts.query else []
    place = [parts.netloc.replace(":", "_"), *inside[:-1], *query, inside[-1]]
    ours = home.joinpath(*place) if home else None
    # Files that Detectron2 or torch.hub have fetched are used where they lie, not downloaded again.
    for path in (*((ours,) if ours else ()), *_other_caches(inside)):
        if path.is_file():
            if _matches_checksum(path) and is_intact(path):
                return path
            logger.warning("%s: ignored, its content does not have its checksum", path)
    if ours is None:
        raise DataError(
            f"MODEL.WEIGHTS {source}: not downloaded, for an empty {VARIABLE} switches the cache off; "
            "set it to a folder, or give the path of a file"
        )
    try:
        ours.parent.mkdir(parents=True, exist_ok=True)
        with file_lock(str(ours)):  # one process of a node downloads, the others find the file
            if not (ours.is_file() and _matches_checksum(ours) and is_intact(ours)):
                download(url, ours, _Checksum(ours.name), read_weights)
    except (OSError, http.client.HTTPException) as error:
        http_error = isinstance(error, (urllib.error.HTTPError, http.client.HTTPException))
        reason = error if http_error else getattr(error, "reason", None) or error.strerror or error
        reason = " ".join(str(reason).split())
        raise DataError(
            f"MODEL.WEIGHTS {source}: cannot be downloaded from {url} ({reason}); put the file at {ours}, "
            f"or train from scratch with {FROM_SCRATCH} (a random frozen backbone does not learn)"
        ) from None
    return ours


def _other_caches(inside: list[str]) -> list[Path]:
    """Where Detectron2 (fvcore, iopath) and torch.hub would have put the file."""
    fvcore = Path(os.environ.get("FVCORE_CACHE") or "~/.torch/iopath_cache").expanduser()
    torch_home = Path(
        os.environ.get("TORCH_HOME")
        or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "torch"
    ).expanduser()
    return [fvcore.joinpath(*inside), torch_home / "hub" / "checkpoints" / inside[-1]]


class _Checksum:
    """Digests blocks of a file by the algorithm that its name implies; matches anything where the name implies none."""

    def __init__(self, name: str) -> None:
        algorithm, self.expected = known_checksum(name) or (None, "")
        # md5 is what the zoo names; here it finds damage, not an attack, and strict systems allow it for that.
        self.digest = hashlib.new(algorithm, usedforsecurity=False) if algorithm else None

    def update(self, block: bytes) -> None:
        if self.digest:
            self.digest.update(block)

    def matches(self) -> bool:
        return self.digest is None or self.digest.hexdigest().startswith(self.expected)


def _matches_checksum(path: Path) -> bool:
    """True where the name carries no checksum, or the content has it."""
    checksum = _Checksum(path.name)
    with path.open("rb") as stream:
        while checksum.digest and (block := stream.read(1 << 20)):
            checksum.update(block)
    return checksum.matches()
