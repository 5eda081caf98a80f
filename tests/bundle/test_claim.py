"""What an evaluation leaves, and what a new one in its folder removes."""

from __future__ import annotations

import pytest

from rockmonai.bundle.claim import claim
from rockmonai.errors import OutputError

MAPS = ["classes/rock.tif", "colours/rock.tif", "uncertainty/rock.tif"]
LEFT = ["scores.csv", "confusion.csv", "examples/pred/rock.tif", *MAPS]
KEPT = ["metrics.csv", "notes.txt", "classes/notes.txt", "colours/rock.png", "labels/rock.tif", "prediction.ome.zarr"]


@pytest.mark.parametrize("name", LEFT)
def test_an_evaluation_is_not_overwritten_silently(tmp_path, name):
    for path in (tmp_path / one for one in (name, *KEPT)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    with pytest.raises(OutputError, match=r"holds an earlier run .*--overwrite true"):
        claim(tmp_path, None, {})
    assert (tmp_path / name).exists()
    claim(tmp_path, None, {}, overwrite=True)
    assert not (tmp_path / name).exists() and all((tmp_path / one).exists() for one in KEPT)
    claim(tmp_path, None, {})
