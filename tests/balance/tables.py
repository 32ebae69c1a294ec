"""Index tables for the tests of balance, and helpers to balance them."""

import hashlib

import pandas as pd

from artdetect.balance import BalanceConfig, balance

CONFIG = BalanceConfig(method="undersample")
HUMAN, LD, SD = ("human", "human"), ("AI", "latent_diffusion"), ("AI", "stable_diffusion")
Strata = dict[tuple[str, tuple[str, str], str], int]  # (split, (label, generator), style) -> pictures
STRATA: Strata = {
    ("train", HUMAN, "baroque"): 90, ("train", HUMAN, "ukiyo_e"): 31,
    ("train", LD, "baroque"): 120, ("train", LD, "ukiyo_e"): 40,
    ("train", SD, "baroque"): 77, ("train", SD, "ukiyo_e"): 3,
    ("test", HUMAN, "baroque"): 10, ("test", LD, "baroque"): 15, ("test", SD, "ukiyo_e"): 5,
}  # fmt: skip


def rows(strata: Strata) -> pd.DataFrame:
    """An index with these numbers of pictures; the content of each is its path."""
    records = []
    for (split, (label, generator), style), count in strata.items():
        for number in range(count):
            path = f"{split}/{label}-{generator}-{style}/{number:04d}.jpg"
            records.append((path, digest(path), label, style, generator, f"source of {style}", split, True))
    return pd.DataFrame(records, columns=["path", "sha256", "label", "style", "generator", "source", "split", "ok"])


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def split(table: pd.DataFrame, name: str) -> pd.DataFrame:
    return table[table.split == name]


def add_row(table: pd.DataFrame, **changes: object) -> pd.DataFrame:
    """Add a row that equals the first one except for the changes."""
    return pd.concat([table, table.iloc[[0]].assign(**changes)], ignore_index=True)


def groups_table(*groups: list[str]) -> pd.DataFrame:
    """The groups.parquet of the audit, from the paths of each group of duplicates."""
    records = [(path, number) for number, paths in enumerate(groups) for path in paths]
    return pd.DataFrame(records, columns=["path", "group"]).astype({"path": "str", "group": "int64"})


def exact_groups(table: pd.DataFrame) -> pd.DataFrame:
    """The groups of exact duplicates, as the audit finds them."""
    readable = table[table.ok & table.duplicated("sha256", keep=False)]
    return groups_table(*(list(paths) for _, paths in readable.groupby("sha256").path))


def balanced(table: pd.DataFrame, config: BalanceConfig = CONFIG) -> pd.DataFrame:
    """Balance a table that has no near-duplicates except exact ones."""
    return balance(table, exact_groups(table), config)


def counts(balanced: pd.DataFrame) -> dict[tuple[str, str], int]:
    """The number of pictures by (split, label)."""
    return balanced.groupby(["split", "label"]).size().to_dict()


INDEX = rows(STRATA)
BALANCED = balanced(INDEX)


def stratum_paths(label: str, generator: str, style: str, count: int, split_name: str = "train") -> list[str]:
    """The paths of the first `count` pictures of a stratum."""
    return [f"{split_name}/{label}-{generator}-{style}/{number:04d}.jpg" for number in range(count)]
