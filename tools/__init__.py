"""The environment: how it is installed, and what is in it. Standard library only."""
