"""The tests mirror the tree; what concerns all of it lies here."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
