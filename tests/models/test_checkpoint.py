"""Weights files, good and bad: what is read is tensors and nothing else."""

from __future__ import annotations

import os
import pickle
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from restore_cli.errors import CheckpointError
from restore_cli.models.checkpoint import WRAPPING_KEYS, read_checkpoint
from tests.networks import small_network


@pytest.fixture
def weights():
    return small_network("resnet").float().state_dict()


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".ckpt", ".bin"])
def test_a_torch_file_reads_whatever_its_name(tmp_path, weights, suffix):
    path = tmp_path / f"model{suffix}"
    torch.save(weights, path)
    assert same(read_checkpoint(path).state_dict, weights)


@pytest.mark.parametrize("key", WRAPPING_KEYS)
def test_weights_are_found_where_frameworks_keep_them(tmp_path, weights, key):
    path = tmp_path / "model.pth"
    torch.save({key: weights, "epoch": 3}, path)
    assert same(read_checkpoint(path).state_dict, weights)


def test_averaged_weights_are_preferred(tmp_path, weights):
    path = tmp_path / "model.pth"
    torch.save({"params": {"a": torch.zeros(1)}, "params_ema": weights}, path)
    assert same(read_checkpoint(path).state_dict, weights)


@pytest.mark.parametrize("prefix", ["module.", "net.", "netG."])
def test_a_common_prefix_is_removed(tmp_path, weights, prefix):
    path = tmp_path / "model.pth"
    torch.save({prefix + key: value for key, value in weights.items()}, path)
    assert same(read_checkpoint(path).state_dict, weights)


def test_safetensors_metadata_travels_and_half_precision_is_widened(tmp_path, weights):
    path = tmp_path / "model.safetensors"
    save_file({key: value.half() for key, value in weights.items()}, path, metadata={"config": '{"wne": true}'})
    checkpoint = read_checkpoint(path)
    assert checkpoint.config == {"wne": True}
    assert {value.dtype for value in checkpoint.state_dict.values()} == {torch.float32}


class Payload:
    """Would create a file if it were unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize(
    "save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))], ids=["torch.save", "pickle"]
)
def test_code_in_a_pickle_is_refused_and_not_run(tmp_path, weights, save):
    proof, path = tmp_path / "proof", tmp_path / "model.pth"
    save({"params": weights, "payload": Payload(proof)}, path)
    with pytest.raises(CheckpointError, match="model.pth"):
        read_checkpoint(path)
    assert not proof.exists()


def test_a_torchscript_program_is_refused_with_the_reason(tmp_path):
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/constants.pkl", b"")
        archive.writestr("model/code/__torch__.py", b"")
    with pytest.raises(CheckpointError, match="TorchScript"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty file"),
        (b"<!DOCTYPE html><html>404</html>", "HTML page"),
        (b"\n  <html>", "HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\n", "Git LFS pointer"),
        (b"hello, this is a letter", "not a checkpoint"),
        (b"PK\x03\x04 cut short", "not a checkpoint"),
        (b"\xff" * 8 + b"{" + b"\x00" * 50, "damaged safetensors"),
        (b"\x80\x02}q\x00.", "damaged or not a checkpoint"),
    ],
)
def test_what_is_no_checkpoint_is_named_for_what_it_is(tmp_path, content, message):
    path = tmp_path / "model.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message) as caught:
        read_checkpoint(path)
    assert str(path) in caught.value.message
    assert "\n" not in caught.value.message


def test_a_truncated_file_is_damaged(tmp_path, weights):
    path = tmp_path / "model.pth"
    torch.save(weights, path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(CheckpointError, match="damaged or not a checkpoint"):
        read_checkpoint(path)


def test_a_list_is_not_a_state_dict(tmp_path):
    path = tmp_path / "model.pth"
    torch.save([torch.zeros(1)], path)
    with pytest.raises(CheckpointError, match="holds a list"):
        read_checkpoint(path)


def test_a_state_dict_without_tensors_is_no_model(tmp_path):
    path = tmp_path / "model.pth"
    torch.save({"epoch": 3}, path)
    with pytest.raises(CheckpointError, match="holds no tensors"):
        read_checkpoint(path)


def test_a_missing_file_and_a_folder_are_errors(tmp_path):
    for path in (tmp_path / "none.pth", tmp_path):
        with pytest.raises(CheckpointError):
            read_checkpoint(path)
