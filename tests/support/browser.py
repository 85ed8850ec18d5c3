"""A real browser, where the machine has one: what a page says after a script has used it.

used(page, "return inspector.state.time")   →   (what it returns, faults of page and script)
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
_WATCH = """<script>
window.faults = [];
addEventListener("error", (event) => faults.push(event.message));
addEventListener("unhandledrejection", (event) => faults.push(String(event.reason)));
addEventListener("securitypolicyviolation", (event) => faults.push(`asks for ${event.blockedURI}`));
for (const kind of ["error", "warn"]) console[kind] = (...said) => faults.push(said.join(" "));
</script>"""
_USE = """<script>
{
  let found = null;
  try { found = (() => { %s })(); } catch (error) { faults.push(String(error.stack)); }
  const said = document.createElement("pre");
  said.id = "said";
  said.textContent = JSON.stringify([found ?? null, faults]);
  document.body.append(said);
}
</script>"""


@cache
def browser() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)


needs_browser = pytest.mark.skipif(browser() is None, reason=f"no browser: none of {', '.join(NAMES)} is installed")


def used(page: str, script: str, folder: Path, width: int = 1280) -> tuple[Any, list[str]]:
    """What `script` returns on the page, and what the console says of either. `script` runs when the page has."""
    path = folder / "used.html"
    watched = page.replace("<head>", f"<head>{_WATCH}", 1).replace("</body>", f"{_USE % script}</body>", 1)
    path.write_text(watched, "utf-8")
    options = (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        f"--window-size={width},900",
    )
    data = f"--user-data-dir={folder / 'browser'}"
    command = [str(browser()), *options, data, "--dump-dom", path.resolve().as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120, check=True).stdout
    said = re.search(r'<pre id="said">(.*?)</pre>', dom, re.DOTALL)
    assert said is not None, "the page did not come to its end"
    found, faults = json.loads(unescape(said[1]))
    return found, faults
