"""The study: its proposals, how it continues, what its key depends on. Scores are synthetic; no picture is read."""

import importlib.util
import re
import threading
from pathlib import Path

import pytest

from artdetect import tune
from artdetect.core import installing
from artdetect.core.errors import ArtifactError, ConfigError
from artdetect.train.config import TrainConfig
from artdetect.tune import Study, TrialScore, TuneConfig

TRAIN = TrainConfig(feature_blocks=("block0", "block2"), degraded_views=3, pca_components=400)
SPACE = {"feature_blocks": ("stem..block1", "stem,block3"), "degraded_views": (0, 2), "pca_components": (50, 100)}


@pytest.fixture(autouse=True)
def _no_nets(roots: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune, "_check_blocks", lambda *space: None)


def study(train: TrainConfig = TRAIN, balance: str = "b", **settings: object) -> Study:
    return Study(TuneConfig.model_validate(SPACE | settings), train, balance, log=pytest.fail)


def score(config: TrainConfig) -> TrialScore:
    return TrialScore(1 / config.pca_components + 0.1 * config.degraded_views, 0.01)


def advance(opened: Study, trials: int) -> None:
    for _ in range(trials):
        proposal = opened.propose()
        opened.tell(proposal, score(proposal.config))


def test_the_first_trial_has_the_settings_of_section_train_and_the_space_includes_them() -> None:
    with study() as opened:
        first = opened.propose()
        assert first.config == TRAIN
        trial = opened.tell(first, score(first.config))
        assert trial.settings == {
            "feature_blocks": "block0, block2",
            "degraded_views": 3,
            "pca_components": 400,
            "head": "linear",
            "backbone": "efficientnet-lite0",
        }
        assert opened.initial_trial == trial
        advance(opened, 7)
        tried = [trial.settings for trial in opened.trials]
    assert {settings["feature_blocks"] for settings in tried} <= {"stem..block1", "stem, block3", "block0, block2"}
    assert {settings["degraded_views"] for settings in tried} <= {0, 1, 2, 3}
    assert all(50 <= settings["pca_components"] <= 400 for settings in tried)
    assert {settings["backbone"] for settings in tried} == {"efficientnet-lite0"}


@pytest.mark.slow
def test_killed_anywhere_the_next_run_ends_with_the_same_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also beyond the random trials, where the sampler uses earlier scores."""
    monkeypatch.setattr(tune, "RANDOM_TRIALS", 2)
    with study() as uninterrupted:
        advance(uninterrupted, 6)
        expected = uninterrupted.trials
    assert len({str(trial.settings) for trial in expected}) > 3
    (uninterrupted.folder / "study.db").unlink()
    with study() as interrupted:
        interrupted._study.enqueue_trial(expected[0].settings)  # killed between two lines of `propose`
    for trials in range(6):
        with study() as interrupted:
            advance(interrupted, 1)
            proposal = interrupted.propose()
            if trials % 2:
                proposal.trial.set_user_attr("out_of_source_loss", 9.0)  # … and of `tell`
    with study() as interrupted:
        assert interrupted.trials == expected


def test_it_is_unfinished_while_trials_or_the_initial_settings_are_missing() -> None:
    with study(trials=2) as opened:
        advance(opened, 1)
        assert opened.unfinished
        advance(opened, 1)
        assert not opened.unfinished
    with study(trials=3) as opened:
        assert opened.unfinished
    with study(TRAIN.model_copy(update={"degraded_views": 2, "feature_blocks": ("stem..block1",)}), trials=1) as opened:
        assert opened.unfinished
    wide = {"degraded_views": (0, 4), "feature_blocks": ("block0,block2", "stem")}
    with study(trials=2, **wide) as opened:
        advance(opened, 2)
        assert not opened.unfinished
        folder, initial = opened.folder, opened.initial_trial
    with study(TRAIN.model_copy(update={"degraded_views": 4}), trials=2, **wide) as opened:
        assert opened.folder == folder
        assert opened.unfinished
        advance(opened, 1)
        assert (opened.initial_trial, opened.trials[0]) == (opened.trials[2], initial)


def test_the_key_contains_what_a_trial_depends_on() -> None:
    key = study().key
    assert (
        key
        == study(trials=99).key
        == study(timeout=1).key
        == study(feature_blocks=("stem..block1", " stem , block3")).key
    )
    assert key == study(TRAIN.model_copy(update={"degraded_views": 1}), degraded_views=(0, 3)).key
    others = [
        study(balance="other"),
        study(TRAIN.model_copy(update={"seed": 1})),
        study(TRAIN.model_copy(update={"size": 64})),
        study(seed=1),
        study(degraded_views=(0, 4)),
        study(head=("linear",)),
    ]
    assert len({key, *(other.key for other in others)}) == 1 + len(others)


def test_the_best_is_the_smallest_value_and_the_earlier_one_of_equals() -> None:
    with study() as opened:
        for value in (0.3, 0.1, 0.1):
            opened.tell(opened.propose(), TrialScore(value, 0.01))
        assert [trial.number for trial in opened.ranking] == [1, 2, 0]
        assert "best of 3 trials, trial 1: out-of-source log loss 0.1000" in opened.summary()[0]
        assert "trial 0: out-of-source log loss 0.3000" in opened.summary()[1]
        assert "feature_blocks block0, block2" in opened.summary()[1]


def test_a_second_search_of_the_same_waits_and_then_has_the_trials_of_the_first() -> None:
    waits = threading.Event()
    waiting = Study(TuneConfig.model_validate(SPACE), TRAIN, "b", lambda message: waits.set())
    trials: list[int] = []

    def second() -> None:
        with waiting as opened:
            trials.append(len(opened.trials))

    with study() as opened:
        thread = threading.Thread(target=second)
        thread.start()
        assert waits.wait(180)
        advance(opened, 2)
    thread.join(180)
    assert trials == [2]


def test_a_damaged_database_is_named() -> None:
    with study() as opened:
        file = opened.folder / "study.db"
    file.write_bytes(b"no database" * 1000)
    with pytest.raises(ArtifactError, match=r"study\.db: not usable .* delete it"), study():
        pass


@pytest.mark.parametrize(
    "space",
    [
        {"degraded_views": (3, 2)},
        {"degraded_views": (0, 33)},
        {"pca_components": (1, 9)},
        {"head": ("cnn",)},
        {"trials": 0},
    ],
)
def test_an_invalid_space_is_refused(space: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(space))):
        TuneConfig.model_validate(space)


def test_without_optuna_the_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune, "find_spec", lambda name: None if name == "optuna" else importlib.util.find_spec(name))
    with pytest.raises(ConfigError, match=re.escape(installing.extra("tune"))):
        tune.check(TRAIN)


def test_other_presets_have_nothing_to_tune() -> None:
    with pytest.raises(ConfigError, match=r"only preset artnet .* 'notebook'"):
        tune.check(TrainConfig(preset="notebook"))
