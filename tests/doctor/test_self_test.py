"""A sound device passes, an unsound one does not."""

import pytest
import torch

from restore_cli.doctor import self_test
from restore_cli.doctor.finding import State
from restore_cli.errors import CheckpointError
from restore_cli.inference.restorer import Restorer

CPU = [torch.device("cpu")]


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(self_test, "SIDE_PX", 12)


def examined(devices=CPU):
    return {finding.subject: finding for finding in self_test.examine_precisions(devices)}


def test_this_processor_is_sound_in_every_precision():
    found = examined()
    assert set(found) == {"self-test cpu fp32", "self-test cpu bf16", "self-test cpu fp16"}
    assert {finding.state for finding in found.values()} == {State.OK}
    errors = {name.split()[-1]: finding.facts["error_255"] for name, finding in found.items()}
    assert errors["fp32"] < 0.001 < errors["fp16"] < errors["bf16"]


def test_a_wrong_result_is_broken_in_fp32_and_noted_in_the_others(monkeypatch):
    real = Restorer.__call__

    def wrong(self, picture, **given):
        return real(self, picture, **given) + 0.1

    monkeypatch.setattr(Restorer, "__call__", wrong)
    found = examined()
    assert found["self-test cpu fp32"].state is State.BROKEN
    assert found["self-test cpu bf16"].state is State.NOTE
    assert "--precision bf16" in found["self-test cpu bf16"].advice


def test_a_result_that_is_not_finite_is_told(monkeypatch):
    from restore_cli.inference.device import OnDevice

    real = OnDevice._run

    def overflowing(self, picture, conditioning, precision):
        result = real(self, picture, conditioning, precision)
        return result * float("inf") if precision is not self_test.Precision.FP32 else result

    monkeypatch.setattr(OnDevice, "_run", overflowing)
    found = examined()
    assert found["self-test cpu fp32"].state is State.OK
    assert found["self-test cpu fp16"].state is State.NOTE
    assert found["self-test cpu fp16"].message.startswith("fp16 overflowed")


def test_a_device_that_fails_is_told_and_not_a_crash(monkeypatch):
    def failing(self, picture, **given):
        raise RuntimeError("CUDA error: no kernel image\nis available")

    monkeypatch.setattr(Restorer, "__call__", failing)
    finding = examined()["self-test cpu fp32"]
    assert (finding.state, finding.message) == (State.BROKEN, "fails: CUDA error: no kernel image is available")


def test_without_its_model_there_is_no_test(monkeypatch):
    def damaged(name):
        raise CheckpointError("damaged", "Install again.")

    monkeypatch.setattr(self_test, "build_model", damaged)
    (finding,) = self_test.examine_precisions(CPU)
    assert (finding.state, finding.advice) == (State.BROKEN, "Install again.")
