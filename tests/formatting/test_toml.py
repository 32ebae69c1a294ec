import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artdetect import config as configs
from artdetect.core import paths
from artdetect.formatting import toml

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = TEXT | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
VALUES = st.recursive(
    st.dictionaries(TEXT, SCALARS | st.lists(SCALARS)), lambda tables: st.dictionaries(TEXT, SCALARS | tables)
)


@given(VALUES)
def test_what_is_written_is_read_again(values: dict) -> None:
    assert tomllib.loads(toml.dumps(values)) == values


def test_nothing_is_left_out_and_the_rest_looks_like_toml() -> None:
    values = {"train": {"views": 4, "size": None, "unsure": {"most": 0.1}}, "odd key": ["a", True]}
    assert toml.dumps(values) == '"odd key" = ["a", true]\n\n[train]\nviews = 4\n\n[train.unsure]\nmost = 0.1\n'


def test_what_toml_has_no_word_for_is_refused() -> None:
    with pytest.raises(TypeError, match="Received: None"):
        toml.dumps({"a": [None]})


@pytest.mark.parametrize("path", sorted((paths.project() / "configs").glob("*.toml")), ids=lambda path: path.stem)
def test_every_config_of_the_project_is_the_same_after_it_was_dumped_and_loaded(path, tmp_path) -> None:
    changes = ["train.threshold={fpr = 0.01}", "balance.hold_out=['LD']", "tune.timeout=60"]
    loaded = configs.load(path, changes)
    (tmp_path / "dumped.toml").write_text(configs.dump(loaded))
    assert configs.load(tmp_path / "dumped.toml") == loaded
    assert str(paths.project()) not in configs.dump(loaded)
