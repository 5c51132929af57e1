"""What mkdocs does beyond mkdocs.yml: files of the checkout as pages, links between them, and cross-references in docstrings."""

from __future__ import annotations

import posixpath
import re

from mkdocs.structure.files import File

# Page -> the file of the checkout that it shows, so that a text stands in one place.
SHOWN = {
    "index.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "datasets.md": "datasets/README.md",
    "examples.md": "examples/README.md",
}
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#:\s]+)(#[^)]*)?\)")
ROLE = re.compile(r":(?:class|func|meth|mod|data|attr):(<code>)[~.]?")


def on_files(files, config):
    """Add the pages whose text lies outside docs/."""
    root = posixpath.dirname(config.config_file_path)
    for page, source in SHOWN.items():
        with open(posixpath.join(root, source), encoding="utf-8") as stream:
            files.append(File.generated(config, page, content=stream.read()))
    return files


def on_page_markdown(markdown, page, config, files):
    """Lead links to files of the checkout to their pages; those that have none stay as words."""
    source = SHOWN.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    pages = {source: page for page, source in SHOWN.items()}

    def lead(link: re.Match) -> str:
        mark, text, target, anchor = link.groups()
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        found = pages.get(path, path.removeprefix("docs/"))
        if files.get_file_from_path(found) is None:
            return link[0] if path.startswith("docs/") else text  # strict mode tells of the first
        here = posixpath.relpath(found, posixpath.dirname(page.file.src_uri) or ".")
        return f"{mark}[{text}]({here}{anchor or ''})"

    return LINK.sub(lead, markdown)


def on_page_content(html, page, config, files):
    """Sphinx's roles in docstrings (``:class:`Target```) as plain code."""
    return ROLE.sub(r"\1", html)
