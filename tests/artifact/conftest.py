"""A folder of saved weights."""

from __future__ import annotations

from pathlib import Path

import pytest
from innerloop.artifact.folders.storage import save

from tests.support.saved import whole


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save(whole(), tmp_path / "saved")
    return tmp_path / "saved"
