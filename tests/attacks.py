"""Damage to files, and what a program does with it, told apart: a refusal in a sentence, an answer, or a fault."""

import json
import os
import random
import resource
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save

from geodesic_cli.errors import GeodesicError

SECONDS, ROOM = 10, 2**30
"""The processor time that an attack may take, and how much memory beyond what the process has."""
WAITS = 30
"""So many times as long by the clock, and a process that computes nothing hangs: on a busy machine others compute."""
NUMBERS: tuple[Any, ...] = (0, -1, 10**9, 10**30, 1e308, float("nan"), True, None, "x", [], {}, [10**9] * 3, "\u202e")
"""What is put in the place of a value of a configuration."""


@dataclass(frozen=True)
class Outcome:
    """What came of an attack.

    Args:
        kind: `refused`, `taken`, `traceback`, `killed` (by a signal, or for its memory) or `slow`.
        told: the sentence, or the end of the traceback, or what the action returned.
    """

    kind: str
    told: str = ""

    @property
    def fault(self) -> bool:
        return self.kind not in ("refused", "taken") or (self.kind == "refused" and "Traceback" in self.told)


def outcome(act: Callable[[], object]) -> Outcome:
    """Do something in a process of its own, with bounds on time and memory."""
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reads)
        signal.alarm(WAITS * SECONDS)
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS + 5, SECONDS + 5))
        pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
        if pages:
            bound = pages * resource.getpagesize() + ROOM
            resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
        began = time.process_time()
        try:
            torch.set_num_threads(1)
            found = Outcome("taken", str(act()))
        except GeodesicError as error:
            found = Outcome("refused", str(error))
        except BaseException:
            found = Outcome("traceback", "\n".join(traceback.format_exc().splitlines()[-8:]))
        if time.process_time() - began > SECONDS:
            found = Outcome("slow", found.told)
        os.write(writes, json.dumps([found.kind, found.told[:3000]]).encode())
        os._exit(0)
    os.close(writes)
    with os.fdopen(reads, "rb") as told:
        text = told.read()
    _, status = os.waitpid(child, 0)
    return Outcome(*json.loads(text)) if text else Outcome("killed", f"status {status}")


def cut_and_flipped(data: bytes, chance: random.Random, count: int, within: int | None = None) -> Iterator[bytes]:
    """A file that was cut short, emptied, followed by other bytes, or changed in single bits.

    Args:
        count: how many are flipped, and how many cut.
        within: bits are flipped in so many of the first bytes.
    """
    yield b""
    for _ in range(count):
        yield data[: chance.randrange(len(data))]
    for _ in range(count):
        changed = bytearray(data)
        at = chance.randrange(min(len(data), within or len(data)))
        changed[at] ^= 1 << chance.randrange(8)
        yield bytes(changed)


def other_texts(data: bytes) -> Iterator[bytes]:
    """Texts that are not what is expected there."""
    yield b"null"
    yield b"[]"
    yield b"{}"
    yield b"[" * 100_000
    yield b'{"a":' * 50_000
    yield b"\xff\xfe\x00\xd8"
    yield b"\x00" * 64
    yield data.replace(b'"', b'"\xff', 3)
    yield data[: len(data) // 2] + b"\x1b[2J" + data[len(data) // 2 :]


def other_values(data: bytes, chance: random.Random, count: int) -> Iterator[tuple[str, bytes]]:
    """A configuration with one value changed, or missing, and the name of it."""
    config = json.loads(data)
    for _ in range(count):
        key = chance.choice(sorted(config))
        value = chance.choice(NUMBERS)
        yield f"{key} = {value!r:.40}", json.dumps(config | {key: value}).encode()
    for key in sorted(config):
        yield f"no {key}", json.dumps({name: value for name, value in config.items() if name != key}).encode()


def damaged_weights(data: bytes, chance: random.Random) -> Iterator[tuple[str, bytes]]:
    """Weights that must not be taken: each with what is wrong with it."""
    tensors = load(data)
    floating = [name for name, tensor in tensors.items() if tensor.is_floating_point() and tensor.numel() > 1]
    name = chance.choice(sorted(floating))
    tensor = tensors[name]
    yield f"{name} is missing", save({key: value for key, value in tensors.items() if key != name})
    yield "a weight too many", save(tensors | {"stranger.weight": torch.zeros(3)})
    for value in (float("nan"), float("inf")):
        changed = tensor.clone()
        changed.view(-1)[chance.randrange(tensor.numel())] = value
        yield f"{name} holds {value}", save(tensors | {name: changed})
    yield f"{name} has another shape", save(tensors | {name: tensor.reshape(-1)[:-1].clone()})
    yield f"{name} has one more axis", save(tensors | {name: tensor[None].clone()})
    yield "cut short", data[:-1]
    yield "no header", data[8:]
    yield "an endless header", (2**40).to_bytes(8, "little") + data[8:]
    yield "a header without an end", (2**63).to_bytes(8, "little") + data[8:]
