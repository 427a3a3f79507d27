from __future__ import annotations

import signal
from threading import Thread

import pytest

from restore_cli.training.interrupts import DeferredInterrupt

pytestmark = pytest.mark.usefixtures("ctrl_c_is_heard")


def test_the_first_ctrl_c_waits_and_the_second_does_not():
    with DeferredInterrupt() as interrupt:
        assert not interrupt.requested
        signal.raise_signal(signal.SIGINT)
        assert interrupt.requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_the_patient_one_waits_however_often():
    with DeferredInterrupt(patient=True) as interrupt:
        for _ in range(3):
            signal.raise_signal(signal.SIGINT)
    assert interrupt.requested


def test_afterwards_ctrl_c_is_what_it_was():
    with DeferredInterrupt():
        pass
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_ctrl_c_that_was_ignored_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with DeferredInterrupt() as interrupt:
        signal.raise_signal(signal.SIGINT)
    assert not interrupt.requested


def test_a_thread_leaves_the_handler_alone():
    kept = []

    def work():
        with DeferredInterrupt():
            kept.append(signal.getsignal(signal.SIGINT))

    thread = Thread(target=work)
    thread.start()
    thread.join()
    assert kept == [signal.default_int_handler]
