"""Weight files from the network: whole, with the right checksum and readable, or not there at all; never over a weaker connection."""

from __future__ import annotations

import hashlib
import logging
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

from bdd_inst.base.errors import DataError
from bdd_inst.base.files import atomic_write

MAX_BYTES = 8 << 30  # the largest zoo file is 2.8 GB
TIMEOUT = 30  # seconds without an answer
# Beside a cached file, its sha256: what is damaged later is fetched again.
DIGEST = ".sha256"
logger = logging.getLogger(__name__)


class NoDowngrade(urllib.request.HTTPRedirectHandler):
    """Follows a redirection, but not from https to anything else."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        """The request to go on with.

        Args:
            req, fp, code, msg, headers, newurl: as urllib gives them.

        Returns:
            The new request.

        Raises:
            DataError: the new address is not encrypted, and the old one was.
        """
        if req.type == "https" and urllib.parse.urlsplit(newurl).scheme != "https":
            raise DataError(
                f"{req.full_url}: leads to an address without encryption ({newurl[:200]}); not followed"
            )
        return super().redirect_request(req, fp, code=code, msg=msg, headers=headers, newurl=newurl)


def spelled(url: str) -> str:
    """An address in the letters that go over the wire.

    Args:
        url: as the user has it, in any script.

    Returns:
        The same in ASCII: its host by IDNA, the rest in percent signs.

    Raises:
        DataError: a host that is none.
    """
    parts = urllib.parse.urlsplit(url)
    try:
        host = parts.netloc.encode("ascii" if parts.netloc.isascii() else "idna").decode()
    except UnicodeError:
        raise DataError(f"{url[:200]!r}: no host of this name") from None
    safe = "/%:@!$&'()*+,;=~?"
    return urllib.parse.urlunsplit(
        parts._replace(
            netloc=host,
            path=urllib.parse.quote(parts.path, safe),
            query=urllib.parse.quote(parts.query, safe),
        )
    )


def download(url: str, path: Path, checksum: object, opens: Callable[[Path], object]) -> None:
    """Fetch into a temporary file beside ``path``; it appears under its name only when it is whole and a weight file that opens.

    Args:
        url: http or https.
        path: the file to be.
        checksum: takes every block by ``update``, and judges by ``matches()``.
        opens: reads the file, or raises DataError.

    Raises:
        DataError: what arrived is cut, empty, packed, a page, too large, of another checksum, or no weights.
        OSError, http.client.HTTPException: the network's or the disk's.
    """
    logger.info("downloading %s to %s", url, path)
    request = urllib.request.Request(spelled(url), headers={"User-Agent": "bdd_inst"})
    # Over plain http anybody on the way could put another file in its place.
    opener = urllib.request.build_opener(NoDowngrade)
    digest = hashlib.sha256()

    def check(temporary: Path) -> None:
        try:
            opens(temporary)
        except DataError as error:
            reason = str(error).replace(str(temporary), "what arrived")
            raise DataError(f"{url}: {reason}") from None

    with opener.open(request, timeout=TIMEOUT) as answer:
        expected = _expected(url, answer)
        with (
            atomic_write(path, "wb", check=check) as out,
            tqdm(total=expected or None, unit="B", unit_scale=True, desc=path.name) as bar,
        ):
            received = 0
            while block := answer.read(1 << 20):
                received += len(block)
                if received > MAX_BYTES:
                    raise DataError(f"{url}: does not end after {MAX_BYTES} bytes; stopped")
                out.write(block)
                checksum.update(block)
                digest.update(block)
                bar.update(len(block))
            # A connection that breaks ends the stream like a whole file does: only the length tells.
            if expected and received != expected:
                raise DataError(
                    f"{url}: the connection ended after {received} of {expected} bytes; run the command again"
                )
            if not received:
                raise DataError(f"{url}: the server sent nothing; run the command again")
            if not checksum.matches():
                raise DataError(
                    f"{url}: what arrived does not have the checksum in its name; run the command again or download it by hand"
                )
    with atomic_write(path.with_name(path.name + DIGEST)) as out:
        out.write(f"{digest.hexdigest()}  {path.name}\n")


def _expected(url: str, answer: object) -> int:
    """How many bytes are to come, 0 where the server does not say; DataError where no file comes at all."""
    if answer.status != 200:
        raise DataError(f"{url}: the server answered {answer.status} instead of sending the file")
    packing = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if packing not in ("", "identity"):
        raise DataError(
            f"{url}: the server sent it packed ({packing[:40]}), which was not asked for; download it by hand"
        )
    text = (answer.headers.get("Content-Length") or "").strip()
    expected = int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0
    if expected > MAX_BYTES:
        raise DataError(
            f"{url}: {expected} bytes, more than the {MAX_BYTES} that are downloaded; fetch it by hand if you trust it"
        )
    return expected


def is_intact(path: Path) -> bool:
    """Whether a cached file is as it was fetched; True where nobody noted its digest.

    Args:
        path: of the file.

    Returns:
        False for a file that has changed since.
    """
    try:
        noted = path.with_name(path.name + DIGEST).read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return True
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return noted[:1] == [digest.hexdigest()]
