from pathlib import Path

import pytest

from artdetect import config as configs
from artdetect.artifacts.stages import CHAIN
from artdetect.config import known_keys, load, parse
from artdetect.core import paths
from artdetect.core.errors import ConfigError
from artdetect.train.calibration import Abstention, FalsePositiveRate


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "art.toml"
    path.write_text('[download]\nurl = "pictures"\n[train]\nepochs = 3\nseed = 7\n')
    return path


@pytest.mark.parametrize("path", sorted((paths.project() / "configs").glob("*.toml")), ids=lambda path: path.stem)
def test_every_config_of_the_project_loads(path: Path) -> None:
    assert load(path).download.url


@pytest.mark.parametrize("path", sorted((paths.project() / "configs").glob("*.toml")), ids=lambda path: path.stem)
def test_a_dumped_config_loads_as_the_same_config(path: Path, tmp_path: Path) -> None:
    changes = ["train.threshold={fpr = 0.01}", "balance.held_out_generators=['LD']", "tune.timeout=60"]
    loaded = load(path, changes)
    (tmp_path / "dumped.toml").write_text(configs.dump(loaded))
    assert load(tmp_path / "dumped.toml") == loaded
    assert str(paths.project()) not in configs.dump(loaded)


def test_a_config_is_found_from_any_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(Path("configs/sample.toml")) == load(paths.project() / "configs" / "sample.toml")


def test_a_file_in_the_working_directory_goes_before_the_projects(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "configs").mkdir()
    file.rename(tmp_path / "configs" / "sample.toml")
    monkeypatch.chdir(tmp_path)
    assert load(Path("configs/sample.toml")).train.seed == 7


@pytest.mark.parametrize(
    ("change", "named", "near"),
    [
        ("train.epoch=3", "train.epoch ", "train.epochs"),
        ("balance.sed=3", "balance.sed ", "balance.seed"),
        ("trian.epochs=3", "trian ", "train"),
    ],
)
def test_an_unknown_key_is_named_with_the_near_miss(file: Path, change: str, named: str, near: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(file, [change])
    assert f"{file}: {named}" in str(error.value)
    assert str(error.value).endswith(f"Did you mean {near}?")


def test_a_key_like_no_other_lists_what_is_known(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"The keys are: .*train\.epochs"):
        load(file, ["xyzzyqqq.w=3"])


def test_a_missing_file_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        load(tmp_path / "absent.toml")
    for known in (paths.project() / "configs").glob("*.toml"):
        assert f"configs/{known.name}" in str(error.value)


def test_a_missing_url_is_named() -> None:
    with pytest.raises(ConfigError, match="download is missing"):
        parse({})
    with pytest.raises(ConfigError, match=r"download\.url is missing"):
        parse({"download": {}})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("train.epochs=many", "train.epochs = 'many'"),
        ("train.epochs=0", "train.epochs = 0"),
        ("train.epochs=1.5", "train.epochs = 1.5"),
        ("train.preset=large", "train.preset = 'large'"),
        ("balance.validation_fraction=0.5", "balance.validation_fraction = 0.5"),
        ("download.url=3", "download.url = 3"),
        ("report.title=[1]", "report.title = [1]"),
        ("train.seed=-1", "train.seed = -1"),
        ("train.degraded_views=-1", "train.degraded_views = -1"),
        ("train.test_time_views=3", "train.test_time_views = 3"),
        ("train.head=deep", "train.head = 'deep'"),
        ("train.feature_blocks=stem", "train.feature_blocks = 'stem'"),
        ("train.threshold=1.5", "train.threshold = 1.5"),
        ("train.threshold=high", "train.threshold = 'high'"),
        ("train.threshold={fpr = 2}", "train.threshold = {'fpr': 2}"),
        ("train.threshold={fp = 0.1}", "train.threshold = {'fp': 0.1}"),
        ("train.abstain={max_share = 1.0}", "train.abstain.max_share = 1.0"),
        ("train.seed=4294967296", "train.seed = 4294967296"),
        ("evaluate.seed=-1", "evaluate.seed = -1"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named_with_what_came(file: Path, change: str, named: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(file, [change])
    assert named in str(error.value)
    assert "\n" not in str(error.value)


def test_a_section_that_is_a_value_is_named(file: Path) -> None:
    file.write_text('train = 3\n[download]\nurl = "x"\n')
    with pytest.raises(ConfigError, match="train = 3 is not usable"):
        load(file)


@pytest.mark.parametrize("content", [b"train = [", b"\xff\xfe", b"a = 1\na = 2\n"])
def test_a_file_that_is_no_toml_is_one_line(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(ConfigError, match="not readable as TOML") as error:
        load(file)
    assert "\n" not in str(error.value)


def test_a_folder_in_place_of_a_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not readable as TOML"):
        load(tmp_path)


@pytest.mark.parametrize("change", ["train.epochs", "epochs=3", "=3", "train.=3", "", "train"])
def test_a_change_without_section_key_and_value_is_refused(file: Path, change: str) -> None:
    with pytest.raises(ConfigError, match=r"expected section\.key=value"):
        load(file, [change])


def test_changes_are_toml_values_or_bare_words(file: Path) -> None:
    config = load(
        file,
        [
            "train.epochs=5",
            "train.preset=notebook",
            "balance.validation_fraction=0.25",
            'report.title="a = b"',
            "evaluate.seed = 1",
        ],
    )
    assert (config.train.epochs, config.train.preset) == (5, "notebook")
    assert config.balance.validation_fraction == 0.25
    assert config.report.title == "a = b"
    assert config.evaluate.seed == 1


def test_a_threshold_is_a_probability_or_a_false_positive_rate(file: Path) -> None:
    assert load(file).train.threshold == 0.5
    assert load(file, ["train.threshold=0.7"]).train.threshold == 0.7
    assert load(file, ["train.threshold={fpr = 0.01}"]).train.threshold == FalsePositiveRate(fpr=0.01)
    assert load(file).train.abstain == Abstention(min_accuracy=0.95, max_share=None)
    undecided = load(file, ["train.abstain={min_accuracy = 0.9}"]).train.abstain
    assert (undecided.min_accuracy, undecided.max_share) == (0.9, None)
    undecided = load(file, ["train.abstain={max_share = 0.1}"]).train.abstain
    assert (undecided.min_accuracy, undecided.max_share) == (0.95, 0.1)


def test_a_change_keeps_the_other_keys_and_the_last_one_counts(file: Path) -> None:
    config = load(file, ["train.epochs=5", "train.epochs=6"])
    assert (config.train.epochs, config.train.seed) == (6, 7)


def test_a_path_in_a_file_is_relative_to_the_project_one_in_a_change_to_the_working_directory(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(file).download.url == str(paths.project() / "pictures")
    assert load(file, ["download.url=pictures"]).download.url == str(tmp_path / "pictures")
    assert load(file, ["download.url=/pictures"]).download.url == "/pictures"


@pytest.mark.parametrize("address", ["https://example.org/a.zip", "file:///srv/a.zip", "HTTP://example.org/x"])
def test_an_address_is_left_as_it_is(file: Path, address: str) -> None:
    assert load(file, [f"download.url={address}"]).download.url == address


def test_a_home_folder_is_found_and_an_unknown_one_is_no_crash(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    assert load(file, ["download.url=~/art"]).download.url == "/somewhere/art"
    assert load(file, ["download.url=~nobody-of-this-name/art"]).download.url.endswith("~nobody-of-this-name/art")


def test_a_config_cannot_be_changed_once_made(file: Path) -> None:
    from pydantic import ValidationError

    with pytest.raises(ValidationError, match="frozen"):
        load(file).train.epochs = 9  # type: ignore[misc]


def test_there_is_a_section_for_every_stage_then_those_for_other_flows_and_for_who_computes() -> None:
    others = ["retrain", "gate", "tune", "ingest", "alerts", "usage", "compute"]
    assert list(configs.Config.model_fields) == [*(stage.name for stage in CHAIN), *others]
    assert {"train.epochs", "download.url", "balance"} <= set(known_keys())


def test_several_data_sets_are_a_list_of_tables_or_addresses(tmp_path: Path) -> None:
    file = tmp_path / "art.toml"
    file.write_text(
        '[[download.sets]]\nurl = "a.zip"\nsources = "a.csv"\n[[download.sets]]\nurl = "https://x.org/b.zip"\n'
        f'sha256 = "{"AB" * 32}"\n'
    )
    first, second = load(file).download.data_sets
    assert (first.url, first.sources) == (str(paths.project() / "a.zip"), str(paths.project() / "a.csv"))
    assert (second.url, second.sha256, second.sources) == ("https://x.org/b.zip", "ab" * 32, None)
    (tmp_path / "dumped.toml").write_text(configs.dump(load(file)))
    assert load(tmp_path / "dumped.toml") == load(file)
    assert str(paths.project()) not in configs.dump(load(file))
    file.write_text('[download]\nsets = ["a.zip", "https://x.org/b.zip"]\n')
    assert [given.url for given in load(file).download.data_sets] == [first.url, second.url]


def test_a_change_of_the_data_sets_replaces_the_single_one_and_back(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file.write_text(f'[download]\nurl = "pictures"\nsha256 = "{"0" * 64}"\nmax_gb = 3\n')
    several = load(file, ['download.sets=["a", "b"]'])
    assert [given.url for given in several.download.data_sets] == [str(tmp_path / "a"), str(tmp_path / "b")]
    assert (several.download.url, several.download.sha256, several.download.max_gb) == (None, None, 3)
    (single,) = configs.changed(several, ["download.url=c"]).download.data_sets
    assert single.url == str(tmp_path / "c")
    (single,) = load(file, ["download.sets=d"]).download.data_sets
    assert single.url == str(tmp_path / "d")


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"url": "a", "sets": ["b"]}, "download.url and download.sets: give download.url in a table of download.sets"),
        ({"sets": ["a"], "sha256": "0" * 64}, "give download.sha256 in a table of download.sets"),
        ({"sets": ["a"], "sources": "a.csv"}, "give download.sources in a table of download.sets"),
        ({"sets": []}, "download.url is missing. Give it, or a list download.sets"),
        ({"sets": [{"sha256": "0" * 64}]}, "download.sets.0.url is missing"),
        ({"sets": ["a", {"url": "b", "sha256": "0"}]}, "download.sets.1.sha256 = '0' is not usable"),
        ({"sets": [3]}, "download.sets.0 = 3 is not usable"),
        ({"sets": 3}, "download.sets = 3 is not usable"),
        ({"sets": [{"url": "a", "name": "b"}]}, "download.sets.0.name is not a key"),
    ],
)
def test_data_sets_that_do_not_fit_together_are_one_line(section: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse({"download": section})
    assert message in str(error.value)
    assert "\n" not in str(error.value)
