"""Tensors on disk: what is read is as if it had never been written."""

from pathlib import Path

import torch

from geodesic_cli.runs.tensors import read_tensors, write_tensors


def test_what_is_read_lies_in_memory_as_a_new_tensor_does(tmp_path: Path) -> None:
    """Products of numbers that begin elsewhere differ in the last digit by machine, and a resumed run from a whole."""
    written = {f"part{k}": torch.rand(3 + k, 5) for k in range(4)}
    write_tensors(tmp_path / "x", written)
    for name, tensor in read_tensors(tmp_path / "x")[0].items():
        assert torch.equal(tensor, written[name])
        assert tensor.data_ptr() % 64 == torch.rand(9, 5).data_ptr() % 64 == 0
