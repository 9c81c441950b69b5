"""Signals: once finishes what is begun, twice ends now."""

import os
import signal

import pytest

from gliner_cli.cli.stopping import Stopped, Stopping


def kill(number=signal.SIGINT):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_ends_the_input_and_keeps_what_is_begun(number, capfd):
    results = []
    with Stopping() as stopping, pytest.raises(Stopped) as stopped:
        for part in stopping.said(stopping.until(range(10))):
            results.append(part)
            if part == 3:
                kill(number)
    assert results == [0, 1, 2, 3]
    assert stopped.value.args == (number,)
    assert "once more to leave now" in capfd.readouterr().err


def test_two_signals_end_it_now():
    with Stopping() as stopping, pytest.raises(KeyboardInterrupt) as ended:
        for part in stopping.until(range(10)):
            kill()
            if part == 0:
                kill()
                raise AssertionError("the second signal came to nothing")
    assert ended.value.args == (signal.SIGINT,)


def test_an_input_that_is_waited_for_is_left_at_once():
    def slow():
        yield 1
        kill()
        raise AssertionError("the signal came to nothing")

    results = []
    with Stopping() as stopping, pytest.raises(Stopped):
        results.extend(stopping.said(stopping.until(slow())))
    assert results == [1]


def test_without_a_signal_nothing_is_different():
    before = signal.getsignal(signal.SIGTERM)
    with Stopping() as stopping:
        assert list(stopping.said(stopping.until(range(3)))) == [0, 1, 2]
    assert signal.getsignal(signal.SIGTERM) is before
