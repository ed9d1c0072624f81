"""One TOML file says everything; the environment may override it. `load` reads, `model` says what there is to say."""
