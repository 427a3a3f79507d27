from __future__ import annotations

import pytest
import torch

from restore_cli.training.losses import LOSS_FUNCTIONS, psnr_loss


def test_psnr_loss_of_a_known_error_and_of_none():
    clean = torch.zeros(2, 3, 4, 4)
    assert psnr_loss(clean + 0.1, clean).item() == pytest.approx(-20, abs=1e-4)
    assert psnr_loss(clean, clean).item() == pytest.approx(-80)


@pytest.mark.parametrize("name", LOSS_FUNCTIONS)
def test_every_loss_is_least_at_the_clean_picture(name):
    clean = torch.rand(1, 3, 8, 8)
    loss = LOSS_FUNCTIONS[name]
    assert loss(clean, clean) < loss(clean + 0.01, clean) < loss(clean + 0.1, clean)
