"""The stages as Prefect tasks: thin, one file a stage."""
