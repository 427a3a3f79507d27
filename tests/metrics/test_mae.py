from __future__ import annotations

import numpy as np
import pytest

from restore_cli.metrics.mae import mae
from tests.metrics.pictures import pair


def test_mae_of_a_known_error():
    assert mae(np.array([[0.5, 0.5], [0.5, 0.5]]), np.array([[0.6, 0.4], [0.5, 0.5]])) == pytest.approx(0.05)


def test_mae_is_the_mean_of_the_channels():
    restored, clean = pair()
    assert mae(restored, clean) == pytest.approx(np.mean([mae(restored[..., c], clean[..., c]) for c in range(3)]))
    assert mae(clean, clean) == 0
