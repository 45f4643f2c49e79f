"""Stopping a run at any moment loses nothing: requests wait for the step, and what fails within one leaves no trace."""

import signal
import threading

import pytest
from moments import killed_or_terminated, press_ctrl_c, send_sigterm, when_clips_are_read_for_the

from polyreel.errors import FingerprintError
from polyreel.storage import read_json
from polyreel.training import under_way
from polyreel.training.interruption import stop_requests
from polyreel.training.loop import train
from polyreel.training.scale_settings import MachineSettings

EVERY = 10  # the toy recipe validates every so many steps; a validation reads clips once, as a step does
IN_A_STEP, IN_A_VALIDATION = EVERY + 5, EVERY + 1


def fail():
    raise ZeroDivisionError("something broke")


@pytest.fixture(scope="module")
def asked(recipe):
    return recipe(text={"dropout": 0.2}, optimizer={"name": "adamw"})


@pytest.fixture(scope="module")
def whole(asked, tmp_path_factory):
    return train(asked, tmp_path_factory.mktemp("whole") / "run")


def assert_same(run, whole):
    assert (run / "model" / "model.safetensors").read_bytes() == (whole / "model" / "model.safetensors").read_bytes()
    steps, expected = ([line.split('"seconds"')[0] for line in log(one)] for one in (run, whole))
    assert steps == expected
    assert not (run / "checkpoints").exists()


def log(run):
    return (run / "metrics.jsonl").read_text("utf-8").splitlines()


@pytest.mark.parametrize("stop", [press_ctrl_c, send_sigterm])
@pytest.mark.parametrize("time", [IN_A_STEP, IN_A_VALIDATION])
def test_requests_wait_for_the_end_of_a_step_and_of_its_validation(asked, whole, tmp_path, time, stop):
    with when_clips_are_read_for_the(time, stop), pytest.raises(KeyboardInterrupt):
        train(asked, tmp_path / "cut")
    assert read_json(tmp_path / "cut" / "run.json")["status"] == "interrupted"
    assert any((tmp_path / "cut" / "checkpoints").glob("step-*.safetensors"))
    assert_same(train(asked, tmp_path / "cut", resume=True), whole)


@pytest.mark.parametrize("seconds", [0, 60])
def test_what_fails_within_a_step_leaves_the_state_saved_before_it(asked, whole, tmp_path, monkeypatch, seconds):
    asked = asked.model_copy(update={"machine": MachineSettings(save_every_seconds=seconds)})
    monkeypatch.setattr(under_way, "MOST_SAVING_SHARE", 1e9)
    with when_clips_are_read_for_the(IN_A_STEP, fail), pytest.raises(ZeroDivisionError, match="something broke"):
        train(asked, tmp_path / "cut")
    assert len(list((tmp_path / "cut").glob("checkpoints/step-*"))) == (2 if seconds == 0 else 0)
    with pytest.raises(FingerprintError, match="unfinished run; continue it with --resume"):
        train(asked, tmp_path / "cut")
    assert_same(train(asked, tmp_path / "cut", resume=True), whole)


def test_a_log_whose_last_line_was_cut_short_is_gone_on_with(asked, whole, tmp_path):
    with when_clips_are_read_for_the(IN_A_STEP, press_ctrl_c), pytest.raises(KeyboardInterrupt):
        train(asked, tmp_path / "cut")
    with (tmp_path / "cut" / "metrics.jsonl").open("a") as stream:
        stream.write('{"step": 1, "secon')
    assert_same(train(asked, tmp_path / "cut", resume=True), whole)


def test_saving_that_takes_long_is_done_less_often(asked, tmp_path, monkeypatch):
    asked = asked.model_copy(update={"machine": MachineSettings(save_every_seconds=0)})

    def saved_after(run):
        seen = set()

        def look(step, num_steps, doing):
            seen.update(file.name for file in (tmp_path / run / "checkpoints").glob("step-*"))

        train(asked, tmp_path / run, progress=look)
        return sorted(seen)

    monkeypatch.setattr(under_way, "MOST_SAVING_SHARE", 1e-9)
    assert saved_after("once") == ["step-00000001.safetensors"]
    monkeypatch.setattr(under_way, "MOST_SAVING_SHARE", 1e9)
    assert len(saved_after("often")) > 1


def test_signals_are_left_to_whoever_has_a_handler_of_their_own_and_to_the_main_thread():
    heard = []
    former = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    try:
        with stop_requests() as stop:
            press_ctrl_c()
    finally:
        signal.signal(signal.SIGINT, former)
    assert heard == [signal.SIGINT] and not stop.is_made

    made = []

    def elsewhere():
        with stop_requests() as stop:
            made.append(stop.is_made)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert made == [False] and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_after_the_block_signals_have_their_usual_effect_again():
    with pytest.raises(ValueError, match="broken"), stop_requests() as stop:
        press_ctrl_c()
        raise ValueError("broken")
    assert stop.is_made
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 130)])
@pytest.mark.parametrize("logged", [1, 12, 30])
def test_a_process_that_was_killed_or_terminated_goes_on_to_the_same_bytes(recipe, tmp_path, number, status, logged):
    asked = recipe(text={"dropout": 0.2}, schedule={"steps": 400}, machine={"save_every_seconds": 0})
    whole = train(asked, tmp_path / "whole")
    found, said = killed_or_terminated(asked, tmp_path, number, logged)
    assert found == status
    if number == signal.SIGTERM:
        assert "stopped; what was finished is kept" in said and "Traceback" not in said
        assert read_json(tmp_path / "cut" / "run.json")["status"] == "interrupted"
    assert_same(train(asked, tmp_path / "cut", resume=True), whole)
