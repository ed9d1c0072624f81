# Every verb goes through tools/dev.py, which makes the environment first. Without make: python tools/dev.py VERB
PYTHON ?= python3

.PHONY: demo test test-scaled check nightly bench lock
demo test test-scaled check nightly bench lock:
	@$(PYTHON) tools/dev.py $@ $(ARGS)
