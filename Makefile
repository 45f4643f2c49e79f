# `make demo` and `make test` set everything up by themselves; the environment in .venv is made once and reused.
PYTHON ?= python3.11
JOBS ?= 2
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM ?= false

.PHONY: help demo test browser check format docs clean

help:
	@echo "make demo    set up, draw a world, train, measure, index, search: the whole house in minutes"
	@echo "make test    set up, then style, types and tests"
	@echo "make browser the page's tests in Chromium, which it installs with apt-get if it is not there"
	@echo "make check | format | docs | clean"

# One sentence in the world's nine languages. It is true of clip0011, which is in the test split.
QUERIES := "A yellow cross shrinks over the sea." \
	"Ein gelbes Kreuz schrumpft über dem Meer." \
	"Une croix jaune rétrécit au-dessus de la mer." \
	"Žlutý kříž se zmenšuje nad mořem." \
	"一个黄色的十字在海面上逐渐变小。" \
	"Жёлтый крест сжимается над морем." \
	"Trên mặt biển có một hình chữ thập màu vàng nhỏ dần đi." \
	"Msalaba wa njano unapungua ukubwa baharini." \
	"Una cruz amarilla se encoge por encima del mar."

demo: .venv/train
	@echo "== 1/5 drawing a world with captions in nine languages; to learn from, eight get half as many, 3 in 10 of them wrong"
	$(BIN)/polyreel world demo/world --translations 2 --noise 0.3
	@echo "== 2/5 turning clips into features"
	$(BIN)/polyreel extract demo/world --extractor pixels
	@echo "== 3/5 training teachers and students, measuring every language"
	$(BIN)/polyreel experiment world/demo -o demo --jobs $(JOBS)
	@echo "== 4/5 indexing the clips with the C2KD student"
	$(BIN)/polyreel index demo/world/videos --model "$$(ls -d demo/runs/c2kd-* | head -n 1)" -o demo/index
	@echo "== 5/5 asking in nine languages for clip0011, which no training saw"
	@for query in $(QUERIES); do \
		echo; echo "$$query"; $(BIN)/polyreel search demo/index "$$query" -k 3 || exit 1; \
	done
	@echo
	@echo "The report, with plots and pictures: demo/report.html"

test: check
	@echo "== 4/4 tests, $(JOBS) at a time (the slow ones: $(BIN)/pytest -m slow)"
	$(BIN)/pytest -q -n $(JOBS)

browser: .venv/dev
	@command -v chromium > /dev/null || apt-get install -y chromium fonts-noto-core fonts-noto-cjk
	$(PIP) install --progress-bar off -c constraints.txt "playwright>=1.50"
	$(BIN)/pytest -q -m browser

check: .venv/dev
	@echo "== 1/4 style"
	$(BIN)/ruff check .
	@echo "== 2/4 format"
	$(BIN)/ruff format --check .
	@echo "== 3/4 types"
	$(BIN)/mypy

format: .venv/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv/train
	$(BIN)/python -m polyreel.cli.reference docs/cli.md
	$(BIN)/polyreel table results/*.json --format md -o docs/result-tables.md

clean:
	rm -rf demo dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/train: .venv/bin/python pyproject.toml constraints.txt
	@echo "== installing polyreel with torch into .venv; this takes minutes, once"
	$(PIP) install --progress-bar off -c constraints.txt -e ".[train]"
	touch .venv/train

.venv/dev: .venv/train
	@echo "== installing what the tests need"
	$(PIP) install --progress-bar off -c constraints.txt -e ".[train,dev]"
	touch .venv/dev
