"""The check of the site's links finds what leads nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.check_links import broken

PAGE = '<html><body><h1 id="top">t</h1><a href="{}">there</a></body></html>'


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "index.html").write_text(PAGE.format("../index.html#top"), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    "link", ["#top", "folder/index.html#top", "folder/", "https://example.org/a", "index.html?q=1", "mailto:a@b.org"]
)
def test_what_is_there(site: Path, link: str) -> None:
    (site / "index.html").write_text(PAGE.format(link), encoding="utf-8")
    assert broken(site) == []


@pytest.mark.parametrize(
    ("link", "why"),
    [
        ("#bottom", "no such anchor"),
        ("folder/index.html#bottom", "no such anchor"),
        ("nowhere.html", "no such file"),
        ("nowhere/", "no such file"),
        ("https:///a", "no host"),
        ("javascript:void(0)", "what is"),
    ],
)
def test_what_is_not(site: Path, link: str, why: str) -> None:
    (site / "index.html").write_text(PAGE.format(link), encoding="utf-8")
    (found,) = broken(site)
    assert found.startswith(f"index.html: {link}: {why}")
