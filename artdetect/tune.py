"""tune: searches better settings for `artnet` by trials that are scored on pictures of held-out sources.

Optuna proposes the settings. A database below artifacts/tune/ stores the scores, so that an interrupted search
continues with the missing trials. A proposal depends only on the finished trials, so an interrupted search ends with
the same trials as an uninterrupted one. Test pictures are never read.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field

from artdetect.artifacts import file_names, store
from artdetect.core import digests, installing, paths
from artdetect.core.config_section import Section
from artdetect.core.errors import ArtifactError, ConfigError
from artdetect.core.progress import Progress, with_label
from artdetect.model import tensorflow_setup
from artdetect.train.config import TrainConfig

if TYPE_CHECKING:
    import optuna

JUDGED_VIEWS = (101, 102)  # degraded views for scoring: no trial trains on them, as train.degraded_views ends at 32

RANDOM_TRIALS = 8  # trials before the sampler uses the scores of earlier ones
BEST_FILE = "best.toml"
TRIALS_FILE = "trials.csv"
_STUDY_FILE = "study.db"
_PACKAGES = ("keras", "numpy", "optuna", "pandas", "pillow", "pyarrow", "scikit-learn", "scipy", "tensorflow")


def _ordered(ends: tuple[int, int]) -> tuple[int, int]:
    if ends[0] > ends[1]:
        raise ValueError("the lowest value must not exceed the highest")
    return ends


def _spaced(choices: tuple[str, ...]) -> tuple[str, ...]:
    """Lists of blocks in the form of `_settings_of`."""
    return tuple(", ".join(_names(choice)) for choice in choices)


def _names(blocks: str) -> list[str]:
    return [name.strip() for name in blocks.split(",")]


Views = Annotated[int, Field(ge=0, le=32)]
Components = Annotated[int, Field(ge=2, le=4096)]


class TuneConfig(Section):
    """Section `tune`: the search space. The settings in section `train` always belong to it."""

    trials: int = Field(20, ge=1, description="number of finished trials, over all runs")
    timeout: float | None = Field(None, gt=0, description="seconds after which a run starts no further trial")
    seed: int = Field(129, ge=0, lt=2**31, description="seed of the proposals")

    feature_blocks: Annotated[tuple[str, ...], AfterValidator(_spaced)] = Field(
        ("stem..block5", "stem..block10", "block3..block13", "stem..top"),
        description='choices of train.feature_blocks, each a list with commas: "stem, block3..block5"',
    )
    degraded_views: Annotated[tuple[Views, Views], AfterValidator(_ordered)] = Field(
        (0, 8), description="lowest and highest train.degraded_views"
    )
    pca_components: Annotated[tuple[Components, Components], AfterValidator(_ordered)] = Field(
        (50, 1600), description="lowest and highest train.pca_components, searched on a logarithmic scale"
    )
    head: tuple[Literal["linear", "mlp"], ...] = Field(
        ("linear", "mlp"), description="choices of train.head; each trial selects its penalty"
    )
    backbone: tuple[str, ...] = Field((), description="further choices of train.backbone")


@dataclass(frozen=True)
class TrialScore:
    """The score of settings on pictures of held-out sources, clean and in `JUDGED_VIEWS`."""

    out_of_source_loss: float  # calibrated log loss in nats, which the search minimises
    penalty: float  # of the selected head


@dataclass(frozen=True)
class Trial:
    """A finished trial."""

    number: int  # from 0, without gaps
    settings: Mapping[str, Any]
    score: TrialScore

    def row(self) -> dict[str, Any]:
        """The trial as a row of a table."""
        figures = {name: round(x, 6) for name, x in asdict(self.score).items()}
        return {"trial": self.number, **figures, **self.settings}

    def __str__(self) -> str:
        value = f"out-of-source log loss {self.score.out_of_source_loss:.4f}"
        return f"trial {self.number}: {value}, {', '.join(f'{name} {x}' for name, x in self.settings.items())}"


@dataclass(frozen=True)
class Proposal:
    """Settings to try next."""

    number: int  # of the trial
    config: TrainConfig
    trial: "optuna.Trial"


def check(train: TrainConfig) -> None:
    """Check that these settings can be tuned.

    Raises:
        ConfigError: Optuna is not installed, or the preset is not artnet.
    """
    if find_spec("optuna") is None:
        raise ConfigError(f"tuning needs Optuna. Run `{installing.extra('tune')}`")
    if train.preset != "artnet":
        raise ConfigError(f"only preset artnet can be tuned. Received: train.preset = {train.preset!r}")


class Study:
    """The trials of one search, in a context that locks out other processes.

    Args:
        config: Section `tune`.
        train: Section `train`.
        balance: The digest of balance's outputs.
        log: Called with a message if the context has to wait for another process.

    Raises:
        ConfigError: See `check`.
        ArtifactError: The database is damaged.
    """

    def __init__(self, config: TuneConfig, train: TrainConfig, balance: str, log: Callable[[str], None]):
        from optuna.distributions import distribution_to_json

        check(train)
        self._config, self._train, self._log = config, train, log
        self._space = _search_space(config, train)
        searched = {name: distribution_to_json(distribution) for name, distribution in self._space.items()}
        self.parts: dict[str, Any] = {
            "config": {
                "train": {name: value for name, value in train.key_parts().items() if name not in searched},
                "space": searched,
                "seed": config.seed,
            },
            "code": digests.code_digests("artdetect.tune"),
            "packages": digests.versions(_PACKAGES),
            "inputs": {"balance": balance},
        }
        self.key = digests.value_digest({"stage": "tune", **self.parts})[:16]
        self.folder = store.place("tune", self.key)

    def __enter__(self) -> "Study":
        from filelock import FileLock, Timeout

        self._lock = FileLock(store.lock_file("tune", self.key))
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            self._log("waiting for another run of the same search")
            self._lock.acquire()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._study = _open(self.folder / _STUDY_FILE)
            self._study.set_user_attr("parts", self.parts)
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._lock.release()

    @property
    def trials(self) -> list[Trial]:
        """The finished trials, in the order in which they finished."""
        return [
            Trial(number, {name: trial.params[name] for name in self._space}, TrialScore(**trial.user_attrs))
            for number, trial in enumerate(_finished(self._study))
        ]

    @property
    def initial_trial(self) -> Trial | None:
        """The trial of the settings in section `train`, once it is finished."""
        return next((trial for trial in self.trials if trial.settings == _settings_of(self._train)), None)

    @property
    def ranking(self) -> list[Trial]:
        """The finished trials, the best first."""
        return sorted(self.trials, key=lambda trial: trial.score.out_of_source_loss)

    def summary(self) -> list[str]:
        """The result in sentences. At least one trial must have finished."""
        best, initial = self.ranking[0], self.initial_trial
        return [
            f"The best of {len(self.trials)} trials, {best}.",
            "Nothing was better than the initial settings." if best == initial else f"Initial settings: {initial}.",
            "The same pictures both selected and scored it: performance on other art will be slightly lower.",
        ]

    @property
    def unfinished(self) -> bool:
        """Whether trials are missing."""
        return len(self.trials) < self._config.trials or self.initial_trial is None

    def config(self, settings: Mapping[str, Any]) -> TrainConfig:
        """Section `train` with a trial's settings."""
        changes = {**settings, "feature_blocks": _names(settings["feature_blocks"])}
        return TrainConfig.model_validate(self._train.model_dump() | changes)

    def propose(self) -> Proposal:
        """The next settings: those in section `train` if not tried yet, else the sampler's proposal.

        Raises:
            ConfigError: There is no such backbone, or it lacks a block of the search space.
            ModelError: The weights of a backbone are not available.
        """
        import optuna

        _check_blocks(self._space["backbone"].choices, self._space["feature_blocks"].choices, self._train.weights)
        number = len(self.trials)
        self._study.sampler = optuna.samplers.TPESampler(
            seed=self._config.seed + number, n_startup_trials=RANDOM_TRIALS
        )
        waiting = self._study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.WAITING,))
        if self.initial_trial is None and not waiting:  # one is waiting if a process was killed between these two lines
            self._study.enqueue_trial(_settings_of(self._train))
        trial = self._study.ask(self._space)
        return Proposal(number, self.config(trial.params), trial)

    def tell(self, proposal: Proposal, score: TrialScore) -> Trial:
        """Store the score of a proposal; returns the finished trial."""
        import optuna

        for name, figure in asdict(score).items():
            proposal.trial.set_user_attr(name, figure)
        self._study.tell(proposal.trial, score.out_of_source_loss, state=optuna.trial.TrialState.COMPLETE)
        return self.trials[-1]


def _open(file: Path) -> "optuna.Study":
    """The study in this file, created if missing. Unfinished trials of a killed process are marked as failed."""
    import optuna
    from sqlalchemy.exc import DatabaseError

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(storage=f"sqlite:///{file}", study_name="tune", load_if_exists=True)
        for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    except (DatabaseError, optuna.exceptions.StorageInternalError, RuntimeError) as error:
        raise ArtifactError(
            f"{file}: not usable ({str(error).splitlines()[0]}). If it is damaged, delete it to start the search again"
        ) from error
    return study


def _finished(study: "optuna.Study") -> "list[optuna.trial.FrozenTrial]":
    import optuna

    return study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))


def _settings_of(train: TrainConfig) -> dict[str, Any]:
    """The settings in section `train`, in the form that trials have them."""
    return {
        "feature_blocks": ", ".join(train.feature_blocks),
        "degraded_views": train.degraded_views,
        "pca_components": train.pca_components,
        "head": train.head,
        "backbone": train.backbone,
    }


def _search_space(config: TuneConfig, train: TrainConfig) -> dict[str, Any]:
    """The distribution of each setting, extended to include the settings in section `train`."""
    from optuna.distributions import CategoricalDistribution, IntDistribution

    initial = _settings_of(train)

    def choice(name: str) -> CategoricalDistribution:
        return CategoricalDistribution(list(dict.fromkeys([*getattr(config, name), initial[name]])))

    def number(name: str, log: bool) -> IntDistribution:
        low, high = getattr(config, name)
        return IntDistribution(min(low, initial[name]), max(high, initial[name]), log=log)

    return {
        "feature_blocks": choice("feature_blocks"),
        "degraded_views": number("degraded_views", log=False),
        "pca_components": number("pca_components", log=True),
        "head": choice("head"),
        "backbone": choice("backbone"),
    }


@cache
def _check_blocks(names: tuple[str, ...], choices: tuple[str, ...], weights: str) -> None:
    """Raise ConfigError unless every backbone has all blocks, so that no later trial fails."""
    tensorflow_setup.load_tensorflow()
    from artdetect.model import backbones
    from artdetect.model.extractor import Extractor
    from artdetect.pictures.images import Geometry
    from artdetect.train.artnet import SIZE

    for name in names:
        activations = backbones.block_outputs(backbones.load(name, weights))
        for choice in choices:
            Extractor(name, tuple(_names(choice)), Geometry(SIZE, "crop"), weights).statistics(activations)


def score_trial(
    config: TrainConfig, balance_folder: Path, pictures: Path, progress: Progress | None = None
) -> TrialScore:
    """Train with these settings and score the heads on sources they do not know. Test pictures are not read.

    Args:
        config: Section `train` with the settings.
        balance_folder: The balance artifact.
        pictures: The data set's root.
        progress: Called with (done, all, label) while pictures are decoded and features computed.
    """
    import pandas as pd

    tensorflow_setup.load_tensorflow()
    from artdetect.model.feature_cache import FeatureCache
    from artdetect.train import artnet

    without_test = [("split", "in", ["train", "validation"])]
    table = pd.read_parquet(balance_folder / file_names.BALANCE, filters=without_test)
    table["file"] = [paths.picture(pictures, path) for path in table.path]
    train, validation = (table[table.split == split].reset_index(drop=True) for split in ("train", "validation"))
    extractor = artnet.make_extractor(config)
    views = artnet.cached_features(extractor, config.degraded_views, train, validation, progress, config.native_crops)
    judged = [views[0], *(FeatureCache(extractor, number) for number in JUDGED_VIEWS)]
    for number, view in enumerate(judged):
        label = f"features of judged view {number} of {len(JUDGED_VIEWS)}"
        view.ensure(list(zip(train.sha256, train.file, strict=True)), with_label(progress, label))
    best = artnet.fit(config, views, train, validation, judged).candidates[0]
    return TrialScore(best["out_of_source_loss"], best["penalty"])
