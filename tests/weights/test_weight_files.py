"""Weight files found by path, address and cache; downloads are whole and checked or do not appear."""

import functools
import gzip
import hashlib
import http.server
import pickle
import threading
import urllib.request

import numpy as np
import pytest

from bdd_inst.base.errors import ConfigError, DataError
from bdd_inst.weights import files as weight_files
from bdd_inst.weights.download import NoDowngrade
from bdd_inst.weights.files import find_weights, known_checksum

CONTENT = pickle.dumps({"model": {"a.weight": np.ones((70, 70), np.float32)}}, 2)
ZOO_NAME = f"model_final_{hashlib.md5(CONTENT).hexdigest()[:6]}.pkl"
HUB_NAME = f"resnet-{hashlib.sha256(CONTENT).hexdigest()[:8]}.pth"


# What comes in place of a weight file: status, headers, body, and what is said of it.
ANSWERS = {
    "nothing.pkl": (200, {}, b"", "sent nothing"),
    "gone.pkl": (204, {}, b"", "answered 204"),
    "page.pkl": (200, {}, b"<!doctype html><title>log in</title>", "an HTML page"),
    "cut.pkl": (200, {}, CONTENT[:-200], "what arrived"),
    "packed.pkl": (200, {"Content-Encoding": "gzip"}, gzip.compress(CONTENT), r"packed \(gzip\)"),
    "text.pth": (200, {}, b"not found\n" * 30, "not a weight file"),
}


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; ``short`` files are announced longer than they are. The ``served`` list is set by the fixture."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.served.append(self.path)
        if "chunked" in self.path:
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"100\r\nabc")
        elif "short" in self.path:
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            self.wfile.write(b"abc")
        elif self.path.lstrip("/") in ANSWERS:
            status, headers, body, _ = ANSWERS[self.path.lstrip("/")]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
        elif "?" in self.path:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(pickle.dumps({"model": {self.path: np.ones(3, np.float32)}}, 2))
        else:
            super().do_GET()


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A web server of ``tmp_path/site`` standing in for the model zoo, with an empty cache and no other caches."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.setenv("BDD_INST_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FVCORE_CACHE", str(tmp_path / "fvcore"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(Quiet, "served", [], raising=False)
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(site))
    ) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        monkeypatch.setattr(
            weight_files, "DETECTRON2_PREFIX", f"http://127.0.0.1:{httpd.server_port}/"
        )
        yield site
        httpd.shutdown()


def test_downloaded_once_then_cached(server, tmp_path):
    (server / "COCO").mkdir()
    (server / "COCO" / ZOO_NAME).write_bytes(CONTENT)
    first = find_weights(f"detectron2://COCO/{ZOO_NAME}")
    assert first.read_bytes() == CONTENT
    assert tmp_path / "cache" in first.parents
    assert find_weights(f"detectron2://COCO/{ZOO_NAME}") == first
    assert len(Quiet.served) == 1


def test_names_of_detectron2s_catalog(server, monkeypatch):
    (server / "47592356").mkdir()
    (server / "47592356" / "R-101-GN.pkl").write_bytes(CONTENT)
    monkeypatch.setattr(weight_files, "CATALOG_PREFIX", weight_files.DETECTRON2_PREFIX)
    assert find_weights("catalog://ImageNetPretrained/FAIR/R-101-GN").read_bytes() == CONTENT
    with pytest.raises(ConfigError, match=r"catalog://ImageNetPretrained/FAIR/R-50-GN"):
        find_weights("catalog://ImageNetPretrained/FAIR/R-51")


def test_wrong_checksum_leaves_nothing_behind(server, tmp_path):
    (server / "model_final_000000.pkl").write_bytes(CONTENT)
    with pytest.raises(DataError, match="checksum"):
        find_weights("detectron2://model_final_000000.pkl")
    assert not [
        p for p in (tmp_path / "cache").rglob("*") if p.is_file() and not p.name.endswith(".lock")
    ]


def test_damaged_cache_entry_is_fetched_again(server):
    (server / ZOO_NAME).write_bytes(CONTENT)
    path = find_weights(f"detectron2://{ZOO_NAME}")
    path.write_bytes(CONTENT[:100])
    assert find_weights(f"detectron2://{ZOO_NAME}").read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["short", "chunked"])
def test_cut_connection_leaves_nothing_behind(server, tmp_path, name, monkeypatch):
    monkeypatch.setattr(Quiet, "protocol_version", "HTTP/1.1" if name == "chunked" else "HTTP/1.0")
    with pytest.raises(DataError, match=name) as caught:
        find_weights(f"detectron2://{name}.pkl")
    assert "\n" not in str(caught.value)
    assert not [
        p for p in (tmp_path / "cache").rglob("*") if p.is_file() and not p.name.endswith(".lock")
    ]


@pytest.mark.parametrize(
    ("folder", "source"),
    [
        ("fvcore/COCO", f"detectron2://COCO/{ZOO_NAME}"),
        ("torch/hub/checkpoints", f"https://example.invalid/models/{HUB_NAME}"),
    ],
)
def test_caches_of_detectron2_and_torch_hub_are_used(server, tmp_path, folder, source):
    name = source.rsplit("/", 1)[1]
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / name).write_bytes(CONTENT)
    assert find_weights(source) == tmp_path / folder / name
    (tmp_path / folder / name).write_bytes(b"damaged")
    with pytest.raises(DataError):
        find_weights(source)


def test_offline_says_where_to_put_the_file_and_how_to_do_without(server, monkeypatch):
    monkeypatch.setattr(weight_files, "DETECTRON2_PREFIX", "http://127.0.0.1:9/")
    with pytest.raises(DataError) as caught:
        find_weights(f"detectron2://COCO/{ZOO_NAME}")
    text = str(caught.value)
    assert "\n" not in text
    for part in (
        f"detectron2://COCO/{ZOO_NAME}",
        str(weight_files.cache_folder()),
        'MODEL.WEIGHTS ""',
        "MODEL.RESNETS.NORM GN",
    ):
        assert part in text


def test_the_place_named_when_offline_is_the_place_that_is_read(server, monkeypatch):
    monkeypatch.setattr(weight_files, "DETECTRON2_PREFIX", "http://127.0.0.1:9/")
    with pytest.raises(DataError) as caught:
        find_weights(f"detectron2://COCO/{ZOO_NAME}")
    place = weight_files.Path(str(caught.value).split("put the file at ")[1].split(", or")[0])
    place.write_bytes(CONTENT)
    assert find_weights(f"detectron2://COCO/{ZOO_NAME}") == place


def test_not_found_on_the_server(server):
    with pytest.raises(DataError, match=r"404.*put the file at"):
        find_weights("detectron2://COCO/none.pkl")


@pytest.mark.parametrize(
    "source",
    [
        "s3://bucket/x.pkl",
        "http://a/x.pth",
        "detectron2://",
        "https://a/../b",
    ],
)
def test_addresses_of_other_kinds_are_refused_by_name(server, source):
    with pytest.raises(ConfigError, match="MODEL.WEIGHTS"):
        find_weights(source)


def test_paths(tmp_path, monkeypatch):
    (tmp_path / "m.pth").write_bytes(b"x")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_weights(tmp_path / "m.pth") == tmp_path / "m.pth"
    assert find_weights("~/m.pth") == tmp_path / "m.pth"
    assert find_weights(f"file://{tmp_path}/m.pth") == tmp_path / "m.pth"
    with pytest.raises(DataError, match=r"a folder; name a file in it \(m\.pth\)"):
        find_weights(tmp_path)
    with pytest.raises(DataError, match=r"no such file.*from scratch"):
        find_weights(tmp_path / "none.pth")


def test_names_that_carry_a_checksum():
    assert known_checksum("model_final_f10217.pkl") == ("md5", "f10217")
    assert known_checksum("resnet50-19c8e357.pth") == ("sha256", "19c8e357")
    assert known_checksum("maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth") == ("sha256", "bf2d0c1e")
    assert known_checksum("R-50.pkl") is None
    assert known_checksum("model_final.pth") is None


@pytest.mark.parametrize("name", ANSWERS)
def test_what_is_no_weight_file_never_gets_its_name(server, tmp_path, name):
    with pytest.raises(DataError, match=ANSWERS[name][3]) as caught:
        find_weights(f"detectron2://{name}")
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert ".part" not in str(caught.value)
    files = [p.name for p in (tmp_path / "cache").rglob("*") if p.is_file()]
    assert not [file for file in files if not file.endswith(".lock")]


def test_a_length_that_is_none_does_not_matter(server, monkeypatch):
    monkeypatch.setitem(ANSWERS, "odd.pkl", (200, {"Content-Length": "many"}, CONTENT, ""))
    assert find_weights("detectron2://odd.pkl").read_bytes() == CONTENT


def test_addresses_that_differ_in_their_query_are_different_files(server):
    first, second = (find_weights(f"detectron2://get.pkl?id={n}") for n in (1, 2))
    assert first.read_bytes() != second.read_bytes()
    assert first.name == second.name == "get.pkl"
    assert find_weights("detectron2://get.pkl?id=1") == first
    assert len(Quiet.served) == 2


def test_an_address_in_any_script_is_asked_for(server):
    (server / "模型 é.pkl").write_bytes(CONTENT)
    assert find_weights("detectron2://模型 é.pkl").read_bytes() == CONTENT


def test_a_cached_file_that_changes_is_fetched_again(server):
    (server / "plain.pkl").write_bytes(CONTENT)
    path = find_weights("detectron2://plain.pkl")
    assert path.with_name("plain.pkl.sha256").read_text().split()[0] == (
        hashlib.sha256(CONTENT).hexdigest()
    )
    path.write_bytes(CONTENT[:-1] + b"x")
    assert find_weights("detectron2://plain.pkl").read_bytes() == CONTENT
    assert len(Quiet.served) == 2


def test_encryption_is_not_given_up_on_the_way():
    handler = NoDowngrade()
    request = urllib.request.Request("https://example.invalid/a.pkl")
    with pytest.raises(DataError, match="without encryption"):
        handler.redirect_request(request, None, 302, "Found", {}, "http://example.invalid/a.pkl")
    with pytest.raises(DataError, match="without encryption"):
        handler.redirect_request(request, None, 302, "Found", {}, "ftp://example.invalid/a.pkl")
    safe = handler.redirect_request(request, None, 302, "Found", {}, "https://other.invalid/a.pkl")
    assert safe.full_url == "https://other.invalid/a.pkl"
