"""tune: better settings for `artnet`, found by trials that validation judges; test pictures are not even read.

Optuna proposes settings, and a database below artifacts/tune/ keeps what came of them, so that a search that was killed
goes on with the trials that are missing. What is proposed depends on the trials that finished and on nothing else: a
search that was killed ends with the same trials as one that was not.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field

from artdetect.artifacts import store
from artdetect.core import digests, paths
from artdetect.core.config_section import Section
from artdetect.core.errors import ArtifactError, ConfigError
from artdetect.core.progress import Progress, with_label
from artdetect.model import tensorflow_setup
from artdetect.pictures.labels import CLASSES
from artdetect.train.config import TrainConfig

if TYPE_CHECKING:
    import numpy as np
    import optuna

    from artdetect.model.feature_cache import FeatureCache
    from artdetect.train.artnet import FittedHead

# A trial's value is the weighted sum of two parts, and smaller is better: how it does on generators that it never saw
# counts as much as how it does on those that it knows.
LOSS = 1.0  # weight of the log loss of validation pictures, calibrated: clean, and in `VIEWS`
SHORTFALL = 1.0  # weight of 1 - ROC-AUC, averaged over the generators that are left out of training in turn
VIEWS = (101, 102)  # degraded views that judge: no trial learns from them, as train.views ends at 32

RANDOM = 8  # trials before the sampler learns from what came of them
BEST_FILE = "best.toml"
TRIALS_FILE = "trials.csv"
_STUDY_FILE = "study.db"
_PACKAGES = ("keras", "numpy", "optuna", "pandas", "pillow", "pyarrow", "scikit-learn", "scipy", "tensorflow")


def _ordered(ends: tuple[int, int]) -> tuple[int, int]:
    if ends[0] > ends[1]:
        raise ValueError("the first must not be greater than the second")
    return ends


def _spaced(choices: tuple[str, ...]) -> tuple[str, ...]:
    """Lists of blocks as `_own` writes them."""
    return tuple(", ".join(_names(choice)) for choice in choices)


def _names(blocks: str) -> list[str]:
    return [name.strip() for name in blocks.split(",")]


Views = Annotated[int, Field(ge=0, le=32)]
Components = Annotated[int, Field(ge=2, le=4096)]


class TuneConfig(Section):
    """Section `tune`: choices and [lowest, highest]. What section `train` says belongs to the space in any case."""

    trials: int = Field(20, ge=1, description="finished ones in all, whichever run made them")
    timeout: float | None = Field(None, gt=0, description="seconds after which a run begins no further trial")
    seed: int = Field(129, ge=0, lt=2**31, description="of what is proposed")

    blocks: Annotated[tuple[str, ...], AfterValidator(_spaced)] = Field(
        ("stem..block5", "stem..block10", "block3..block13", "stem..top"),
        description='of train.blocks, which have commas between them: "stem, block3..block5"',
    )
    views: Annotated[tuple[Views, Views], AfterValidator(_ordered)] = Field((0, 8), description="of train.views")
    components: Annotated[tuple[Components, Components], AfterValidator(_ordered)] = Field(
        (50, 1600), description="of train.components, drawn from their logarithm"
    )
    head: tuple[Literal["linear", "mlp"], ...] = Field(
        ("linear", "mlp"), description="of train.head; its penalty is chosen in each trial"
    )
    backbone: tuple[str, ...] = Field((), description="of train.backbone; none further if left out")


@dataclass(frozen=True)
class TrialScore:
    """What validation says of settings."""

    loss: float
    shortfall: float  # 0 where no generator has enough pictures to be left out
    penalty: float  # of the head, which was chosen

    @property
    def value(self) -> float:
        """What the search makes small."""
        return LOSS * self.loss + SHORTFALL * self.shortfall


@dataclass(frozen=True)
class Trial:
    """A finished trial."""

    number: int  # from 0, without gaps
    settings: Mapping[str, Any]
    judged: TrialScore

    def row(self) -> dict[str, Any]:
        """As tables show it."""
        figures = {"value": self.judged.value, **asdict(self.judged)}
        return {"trial": self.number, **{name: round(x, 6) for name, x in figures.items()}, **self.settings}

    def __str__(self) -> str:
        found = f"{self.judged.value:.4f} = log loss {self.judged.loss:.4f} + shortfall {self.judged.shortfall:.4f}"
        return f"trial {self.number}: {found}, {', '.join(f'{name} {x}' for name, x in self.settings.items())}"


@dataclass(frozen=True)
class Proposal:
    """Settings to be tried, as the config that has them."""

    number: int  # of the trial that it will be
    config: TrainConfig
    trial: "optuna.Trial"


def check(train: TrainConfig) -> None:
    """Raise ConfigError where nothing can be tuned: for want of Optuna, or because the preset has no such settings."""
    if find_spec("optuna") is None:
        raise ConfigError("tuning needs Optuna. Run `pip install 'artdetect[tune]'`")
    if train.preset != "artnet":
        raise ConfigError(f"only preset artnet can be tuned. Received: train.preset = {train.preset!r}")


class Study:
    """The trials of one search. Used as a context, it has them to itself and waits for another that does.

    `balance` is the digest of balance's outputs; `say` is told when there is something to wait for.

    Raises:
        ConfigError: see `check`.
        ArtifactError: the database is damaged.
    """

    def __init__(self, config: TuneConfig, train: TrainConfig, balance: str, say: Callable[[str], None]):
        from optuna.distributions import distribution_to_json

        check(train)
        self._config, self._train, self._say = config, train, say
        self._space = _space(config, train)
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
            self._say("another run is tuning the same, waiting")
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
        """The finished ones, in the order in which they were."""
        return [
            Trial(number, {name: trial.params[name] for name in self._space}, TrialScore(**trial.user_attrs))
            for number, trial in enumerate(_finished(self._study))
        ]

    @property
    def start(self) -> Trial | None:
        """The trial of the settings in section `train`, once there is one."""
        return next((trial for trial in self.trials if trial.settings == _own(self._train)), None)

    @property
    def ranking(self) -> list[Trial]:
        """The finished ones, the best first."""
        return sorted(self.trials, key=lambda trial: trial.judged.value)

    def summary(self) -> list[str]:
        """What was found, in words; of at least one trial."""
        best, start = self.ranking[0], self.start
        begun = "Nothing was better than what it began with" if best == start else f"What it began with: {start}"
        return [
            f"The best of {len(self.trials)} trials, {best}.",
            f"{begun}.",
            "Judged by validation alone, which also chose: expect a little less of the test set.",
        ]

    @property
    def unfinished(self) -> bool:
        """Whether trials are missing."""
        return len(self.trials) < self._config.trials or self.start is None

    def config(self, settings: Mapping[str, Any]) -> TrainConfig:
        """Section `train` with a trial's settings."""
        chosen = {**settings, "blocks": _names(settings["blocks"])}
        return TrainConfig.model_validate(self._train.model_dump() | chosen)

    def propose(self) -> Proposal:
        """What to try next: the settings in section `train` if they were not yet, else what the sampler thinks of.

        Raises:
            ConfigError: there is no such backbone, or a block of the space is not in it.
            ModelError: the weights of a backbone are not at hand.
        """
        import optuna

        _check_blocks(self._space["backbone"].choices, self._space["blocks"].choices, self._train.weights)
        number = len(self.trials)
        self._study.sampler = optuna.samplers.TPESampler(seed=self._config.seed + number, n_startup_trials=RANDOM)
        waiting = self._study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.WAITING,))
        if self.start is None and not waiting:  # one waits where a kill came between these two lines
            self._study.enqueue_trial(_own(self._train))
        trial = self._study.ask(self._space)
        return Proposal(number, self.config(trial.params), trial)

    def tell(self, proposal: Proposal, judged: TrialScore) -> Trial:
        """Keep what came of a proposal."""
        import optuna

        for name, figure in asdict(judged).items():
            proposal.trial.set_user_attr(name, figure)
        self._study.tell(proposal.trial, judged.value, state=optuna.trial.TrialState.COMPLETE)
        return self.trials[-1]


def _open(file: Path) -> "optuna.Study":
    """The study in this file, new or not; what a killed run left unfinished in it counts as failed."""
    import optuna
    from sqlalchemy.exc import DatabaseError

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(storage=f"sqlite:///{file}", study_name="tune", load_if_exists=True)
        for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    except (DatabaseError, optuna.exceptions.StorageInternalError, RuntimeError) as error:
        raise ArtifactError(
            f"{file}: not usable ({str(error).splitlines()[0]}). If it is damaged, delete it to begin the search again"
        ) from error
    return study


def _finished(study: "optuna.Study") -> "list[optuna.trial.FrozenTrial]":
    import optuna

    return study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))


def _own(train: TrainConfig) -> dict[str, Any]:
    """The settings in section `train`, as trials have them."""
    return {
        "blocks": ", ".join(train.blocks),
        "views": train.views,
        "components": train.components,
        "head": train.head,
        "backbone": train.backbone,
    }


def _space(config: TuneConfig, train: TrainConfig) -> dict[str, Any]:
    """What each setting is chosen from, widened so that it holds the settings in section `train`."""
    from optuna.distributions import CategoricalDistribution, IntDistribution

    own = _own(train)

    def choice(name: str) -> CategoricalDistribution:
        return CategoricalDistribution(list(dict.fromkeys([*getattr(config, name), own[name]])))

    def number(name: str, log: bool) -> IntDistribution:
        low, high = getattr(config, name)
        return IntDistribution(min(low, own[name]), max(high, own[name]), log=log)

    return {
        "blocks": choice("blocks"),
        "views": number("views", log=False),
        "components": number("components", log=True),
        "head": choice("head"),
        "backbone": choice("backbone"),
    }


@cache
def _check_blocks(names: tuple[str, ...], choices: tuple[str, ...], weights: str) -> None:
    """Raise ConfigError unless every backbone has all blocks: before the first trial rather than in the last."""
    tensorflow_setup.load_tensorflow()
    from artdetect.model import backbones
    from artdetect.model.feature_cache import Extractor
    from artdetect.pictures.images import Geometry
    from artdetect.train.artnet import SIZE

    for name in names:
        taps = backbones.block_outputs(backbones.load(name, weights))
        for choice in choices:
            Extractor(name, tuple(_names(choice)), Geometry(SIZE, "crop"), weights).statistics(taps)


def score_trial(
    config: TrainConfig, balance_folder: Path, pictures: Path, progress: Progress | None = None
) -> TrialScore:
    """Train with these settings and ask validation; of the data set, whose root is `pictures`, nothing else is read.

    `progress(done, all, what)` is called while pictures are decoded and features computed.
    """
    import numpy as np
    import pandas as pd

    tensorflow_setup.load_tensorflow()
    from artdetect.model.feature_cache import FeatureCache
    from artdetect.train import artnet, calibration, heads

    learning = [("split", "in", ["train", "validation"])]
    table = pd.read_parquet(balance_folder / "balance.parquet", filters=learning)
    table["file"] = [paths.picture(pictures, path) for path in table.path]
    train, validation = (table[table.split == split].reset_index(drop=True) for split in ("train", "validation"))
    extractor = artnet.extractor_of(config)
    views = artnet.features(extractor, config.views, train, validation, progress)
    judges = [views[0], *(FeatureCache(extractor, number) for number in VIEWS)]
    for number, view in enumerate(judges):
        what = f"features of judging view {number} of {len(VIEWS)}"
        view.ensure(list(zip(validation.sha256, validation.file, strict=True)), with_label(progress, what))

    fitted = artnet.fit(config, views, train, validation)
    hot = calibration.fit_temperature(fitted.validation)
    classes, weights = validation.label.map(CLASSES.index).to_numpy(np.int64), validation.weight.to_numpy(np.float32)
    logits = (_logits(fitted, view, list(validation.sha256)) for view in judges)
    losses = [heads.log_loss(logit / hot, classes, weights) for logit in logits]
    aucs = [row["roc_auc"]["value"] for row in fitted.left_out]
    shortfall = 1 - float(np.mean(aucs)) if aucs else 0.0
    return TrialScore(float(np.mean(losses)), shortfall, fitted.candidates[0]["penalty"])


def _logits(fitted: "FittedHead", view: "FeatureCache", sha256s: list[str]) -> "np.ndarray":
    """What the head says of pictures, [N, 2]."""
    import numpy as np

    from artdetect.train.artnet import CHUNK

    starts = range(0, len(sha256s), CHUNK)
    parts = [fitted.head(fitted.embedding(view.read(sha256s[start : start + CHUNK]))) for start in starts]
    return np.concatenate(parts)
