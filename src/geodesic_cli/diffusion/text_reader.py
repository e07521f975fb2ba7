"""A prompt to the states of a text encoder: words with weights, words of one's own, and prompts of any length.

CLIP's text encoders have so many places (77) and no more. A longer prompt is read in parts, each of them as a prompt of
its own between its begin and its end, and the network reads the states of all parts, one after the other: its attention
over text has no places. This is what common front ends do.

`(words:1.3)` gives words a weight. Their states z become e + w (z - e), where e are the states of the empty prompt at
the same places: away from saying nothing, or towards it. Front ends that scale z itself have to mend the mean of all
states afterwards, and divide by one that is near zero in some encoders.

A word of one's own (textual inversion, Gal et al., ICLR 2023) takes as many places as it has vectors, and they are not
parted. Its vectors take the place of those that the encoder would look up.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

WEIGHTED = re.compile(r"\(([^()]*[^\W\d_][^()]*):\s*([0-9]*\.?[0-9]+)\s*\)")
"""Words with a weight, as front ends write them. There is a letter among them: (16:9) is a shape."""
MOST_WEIGHT = 3.0
"""Numbers above it are no weights: `(at 10:30)` is a time."""
FEW_WORDS = 8000
"""Tokens of a vocabulary that was made for one set of words; published ones have 30,000 and more."""
PLACEHOLDER = 0
"""The token that stands where a vector is put in; a CLIP of the older kind takes the largest token for the end."""


@dataclass(frozen=True, eq=False)
class TextPlace:
    """What one place of a text encoder reads.

    Args:
        token: its number in the vocabulary.
        weight: of its state.
        vector: read instead of the token's own, (width,).
    """

    token: int
    weight: float = 1.0
    vector: Tensor | None = None


@dataclass(frozen=True, eq=False)
class TextReader:
    """A tokenizer and its text encoder.

    Args:
        tokenizer: of transformers.
        encoder: a CLIP text model, with or without projection, or a T5 encoder.
        length: tokens that a prompt is padded or cut to; None is the tokenizer's own length.
        in_parts: whether longer prompts are read in parts, and weights are read; `states` does, a call does not.
        words: words of one's own, in lower case, and their vectors (k, width).
    """

    tokenizer: Any
    encoder: Any
    length: int | None = None
    in_parts: bool = False
    words: Mapping[str, Tensor] = field(default_factory=dict)

    @torch.no_grad()
    def __call__(self, prompt: str, hidden_states: bool = False) -> Any:
        """The encoder's output for one prompt, which is cut."""
        tokens = self.tokenizer(
            prompt, padding="max_length", max_length=self.tokens, truncation=True, return_tensors="pt"
        )
        ids = tokens.input_ids.to(self.encoder.device)
        return self.encoder(ids, output_hidden_states=True) if hidden_states else self.encoder(ids)

    @property
    def tokens(self) -> int:
        """How many tokens a prompt, or a part of it, is padded or cut to."""
        return int(self.length or self.tokenizer.model_max_length)

    @property
    def room(self) -> int:
        """The tokens between the begin and the end."""
        return self.tokens - int(self.tokenizer.num_special_tokens_to_add())

    def parts(self, prompt: str) -> list[list[TextPlace]]:
        """What is read of a prompt, at most `room` places in each part; one part at least."""
        parts: list[list[TextPlace]] = [[]]
        for run in self._runs(prompt):
            if len(parts[-1]) + len(run) > self.room and parts[-1]:
                parts.append([])
            for place in run:
                if len(parts[-1]) == self.room:
                    parts.append([])
                parts[-1].append(place)
        return parts

    @torch.no_grad()
    def states(self, prompt: str, layer: int | None = None, parts: int = 1) -> tuple[Tensor, Any]:
        """The states of a prompt, (1, parts tokens, width), and the output for its first part.

        Args:
            prompt: it.
            layer: of the hidden states; None is the last one with its normalisation.
            parts: at least so many; empty ones follow.
        """
        read = self.parts(prompt)
        read += [[]] * (parts - len(read))
        outputs = [self._read(part, layer is not None) for part in read]
        found = [output.last_hidden_state if layer is None else output.hidden_states[layer] for output in outputs]
        if any(place.weight != 1 for part in read for place in part):
            empty, _ = self.states("", layer)
            found = [self._weighted(z, empty, part) for z, part in zip(found, read, strict=True)]
        return torch.cat(found, 1), outputs[0]

    def _read(self, part: list[TextPlace], hidden_states: bool) -> Any:
        begin, *_, end = self.tokenizer("").input_ids
        ids = [begin, *(place.token for place in part), end]
        ids += [self.tokenizer.pad_token_id] * (self.tokens - len(ids))
        vectors = {k + 1: place.vector for k, place in enumerate(part) if place.vector is not None}
        rows = torch.tensor([ids], device=self.encoder.device)
        with _put_in(self.encoder, vectors):
            return self.encoder(rows, output_hidden_states=True) if hidden_states else self.encoder(rows)

    def _weighted(self, z: Tensor, empty: Tensor, part: list[TextPlace]) -> Tensor:
        weights = [1.0, *(place.weight for place in part)]
        weights += [1.0] * (self.tokens - len(weights))
        w = z.new_tensor(weights)[:, None]
        return torch.where(w == 1, z, empty + w * (z - empty))  # to the bit what it was, where nothing is asked

    def _runs(self, prompt: str) -> Iterator[list[TextPlace]]:
        """The places of a prompt; those that stay together are together."""
        for text, weight in pieces(prompt):
            for k, said in enumerate(self._own.split(text) if self.words else (text,)):
                if k % 2:
                    yield [TextPlace(PLACEHOLDER, weight, vector) for vector in self.words[said.lower()]]
                elif said.strip():
                    ids = self.tokenizer(said, add_special_tokens=False, verbose=False).input_ids
                    yield from ([TextPlace(token, weight)] for token in ids)

    @cached_property
    def _own(self) -> re.Pattern[str]:
        """Any of one's own words, standing alone; the longest first."""
        words = "|".join(re.escape(word) for word in sorted(self.words, key=len, reverse=True))
        return re.compile(rf"(?<!\w)({words})(?!\w)", re.IGNORECASE)

    def says(self, word: str, prompt: str) -> bool:
        """Whether a word of one's own stands in a prompt."""
        return word in (said.lower() for said in self._own.findall(prompt))

    def cut(self, prompt: str) -> str:
        """The words at the end of a prompt that are not read."""
        if self.in_parts:
            return ""
        ids = self.tokenizer(prompt, add_special_tokens=False, verbose=False).input_ids
        return str(self.tokenizer.decode(ids[self.room :])).strip() if len(ids) > self.room else ""

    def unknown(self, prompt: str) -> list[str]:
        """The words of a prompt that a small vocabulary of words does not have, so that they are read by letters."""
        if not self._of_words:
            return []
        text = self._own.sub(" ", prompt) if self.words else prompt
        words = dict.fromkeys(re.findall(r"[^\W\d_]{2,}", text.lower()))
        return [word for word in words if len(self.tokenizer.tokenize(word)) > 1]

    @cached_property
    def _of_words(self) -> bool:
        if len(self.tokenizer) > FEW_WORDS:
            return False
        return any(re.fullmatch(r"[a-z]{3,}(</w>)?", token) for token in self.tokenizer.get_vocab())


def pieces(prompt: str) -> list[tuple[str, float]]:
    """The texts of a prompt with their weights, in order: `a (red:1.3) cube` has three. A weight stands once."""
    found, at = [], 0
    for match in WEIGHTED.finditer(prompt):
        if float(match[2]) <= MOST_WEIGHT:
            found += [(prompt[at : match.start()], 1.0), (match[1], float(match[2]))]
            at = match.end()
    return [piece for piece in [*found, (prompt[at:], 1.0)] if piece[0]]


@contextmanager
def _put_in(encoder: Any, vectors: Mapping[int, Tensor]) -> Iterator[None]:
    """Vectors in some places of one row, instead of those that the encoder looks up."""
    if not vectors:
        yield
        return

    def put(_: Any, __: Any, found: Tensor) -> Tensor:
        found = found.clone()
        for place, vector in vectors.items():
            found[0, place] = vector.to(found)
        return found

    handle = encoder.get_input_embeddings().register_forward_hook(put)
    try:
        yield
    finally:
        handle.remove()
