from __future__ import annotations

import os
import signal

import pytest

from restore_cli.batch.interrupts import Interrupts

SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture(autouse=True)
def _usual_handlers():
    before = [
        signal.signal(number, handler) for number, handler in zip(SIGNALS, (signal.default_int_handler, 0), strict=True)
    ]
    yield
    for number, handler in zip(SIGNALS, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_noted_and_raised_where_it_does_no_harm(number):
    with Interrupts() as interrupts:
        assert not interrupts.requested
        with pytest.raises(KeyboardInterrupt), interrupts.harmless():
            os.kill(os.getpid(), number)
            raise AssertionError("not raised at once")
        assert interrupts.requested


@pytest.mark.parametrize("number", SIGNALS)
def test_elsewhere_it_waits_for_the_next_such_place_and_a_second_one_does_not_wait(number):
    with Interrupts() as interrupts:
        os.kill(os.getpid(), number)
        assert interrupts.requested
        with pytest.raises(KeyboardInterrupt), interrupts.harmless():
            raise AssertionError("not raised")
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
            raise AssertionError("not raised")


def test_handlers_are_put_back_and_those_of_others_left_alone():
    def own(number, frame):
        pass

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, own)
    with Interrupts():
        assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == (signal.SIG_IGN, own)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with Interrupts():
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
