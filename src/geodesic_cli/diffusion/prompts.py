"""Prompts: text to what the network reads. Each family of models has its own encoders and its own layout.

Stable Diffusion 1 and 2 read the last hidden states of one CLIP text encoder (2 ships it with its last layer left
out). SDXL reads the states before the last layer of two encoders, side by side, and the projected vector of the second
(Podell et al., 2023, section 2.1). Stable Diffusion 3 reads the same of two CLIP encoders, padded with zeros to the
width of a T5 encoder whose states follow them, and both projected vectors (Esser et al., ICML 2024, appendix B);
without T5 zeros take the place of its states. Flux reads the states of T5 and one CLIP vector.

A text encoder reads so many tokens and no more. Those of Stable Diffusion 1, 2 and XL read a longer prompt in parts
(`text_reader`); the others are given its beginning. What is read in parts, words that are cut off, words that a small
vocabulary does not have, and weights that are not read as such are told once for each prompt.
"""

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from geodesic_cli.diffusion.conditioning import Conditioning, Embedding
from geodesic_cli.diffusion.text_reader import TextReader, pieces
from geodesic_cli.errors import InputError

NUMBERED = r"\([^()]+:\s*-?[0-9.]+\s*\)"
"""What may be meant as words with a weight."""


class PromptRemark(UserWarning):
    """Something in a prompt is not read as it may be meant."""


Join = Callable[[tuple[TextReader, ...], str], Embedding]
"""Text readers and a prompt -> its embedding, one row."""


def last_states(readers: tuple[TextReader, ...], prompt: str) -> Embedding:
    """Stable Diffusion 1 and 2."""
    return Embedding(readers[0].states(prompt)[0])


def two_encoders(readers: tuple[TextReader, ...], prompt: str) -> Embedding:
    """SDXL. The one vector of the whole prompt is that of its first part, which is what front ends take."""
    most = max(len(reader.parts(prompt)) for reader in readers)
    read = [reader.states(prompt, -2, most) for reader in readers]
    return Embedding(torch.cat([states for states, _ in read], -1), read[-1][1].text_embeds)


def clip_and_t5(readers: tuple[TextReader, ...], prompt: str) -> Embedding:
    """Flux: the states of T5, and CLIP's vector of the whole prompt."""
    return Embedding(readers[1](prompt).last_hidden_state, readers[0](prompt).pooler_output)


@dataclass(frozen=True)
class ThreeEncoders:
    """Stable Diffusion 3.

    Args:
        width: of the tokens that its network reads.
        length: of T5's part, in tokens, where there is no T5 encoder; with one it pads to its own reader's length.
    """

    width: int
    length: int = 256

    def __call__(self, readers: tuple[TextReader, ...], prompt: str) -> Embedding:
        """The embedding of a prompt; the third reader, where there is one, is T5."""
        outputs = [reader(prompt, hidden_states=True) for reader in readers[:2]]
        clip = torch.cat([output.hidden_states[-2] for output in outputs], -1)
        clip = pad(clip, (0, self.width - clip.shape[-1]))
        t5 = readers[2](prompt).last_hidden_state.to(clip) if len(readers) > 2 else self._nothing(clip)
        pooled = torch.cat([output.text_embeds for output in outputs], -1)
        return Embedding(torch.cat([clip, t5], -2), pooled)

    def _nothing(self, like: Tensor) -> Tensor:
        return like.new_zeros(1, self.length, self.width)


@dataclass(frozen=True, eq=False)
class PromptEncoder:
    """Text encoders as one function.

    Args:
        readers: tokenizers and text encoders.
        join: how their outputs make an embedding.
        zero_null: whether the network was trained with zeros where there is no prompt, as SDXL was; otherwise the
            embedding of the empty prompt stands for none.
        notify: is told, in a sentence, what of a prompt is not read as it may be meant. The default is a Python warning
            of the kind `PromptRemark`.
    """

    readers: tuple[TextReader, ...]
    join: Join = last_states
    zero_null: bool = False
    notify: Callable[[str], None] | None = None
    _told: set[str] = field(default_factory=set, init=False, repr=False)

    @property
    def encoders(self) -> tuple[Any, ...]:
        """The text encoders; their weights decide an embedding."""
        return tuple(reader.encoder for reader in self.readers)

    @property
    def words(self) -> list[tuple[str, Tensor]]:
        """Words of one's own with their vectors, those of every encoder; they decide an embedding, too."""
        return [item for reader in self.readers for item in sorted(reader.words.items())]

    @torch.no_grad()
    def embed(self, prompt: str, *, remark: bool = True) -> Embedding:
        """The embedding of a prompt, one row, padded to the tokenizer's length, in one part or several, or cut to it.

        Args:
            prompt: it.
            remark: tell, once, what of it is not read as it may be meant.
        """
        if remark and prompt not in self._told:
            self._told.add(prompt)
            for sentence in self._remarks(prompt):
                if self.notify is not None:
                    self.notify(sentence)
                else:
                    warnings.warn(sentence, PromptRemark, stacklevel=3)
        return self.join(self.readers, prompt)

    def _remarks(self, prompt: str) -> list[str]:
        found = []
        name = prompt if len(prompt) <= 40 else f"{prompt[:37]}..."
        cuts = [(reader.cut(prompt), reader.tokens) for reader in self.readers]
        lost, tokens = max(cuts, key=lambda cut: len(cut[0]), default=("", 0))
        if lost:
            which = "the text encoder"
            if len(cuts) > 1:
                which = f"{sum(bool(cut) for cut, _ in cuts)} of the text encoders"
            found.append(
                f"The prompt {name!r} is cut after the {tokens} tokens that {which} can read: {lost!r} is lost."
            )
        in_parts = [reader for reader in self.readers if reader.in_parts]
        parts, tokens = max(((len(reader.parts(prompt)), reader.tokens) for reader in in_parts), default=(1, 0))
        if parts > 1:
            found.append(
                f"The prompt {name!r} is longer than the {tokens} tokens that the text encoder reads at once; it is "
                f"read in {parts} parts."
            )
        unknown = list(dict.fromkeys(word for reader in self.readers for word in reader.unknown(prompt)))
        if unknown:
            found.append(f"The model does not know these words of the prompt {name!r}: {', '.join(unknown)}.")
        rest = "".join(text for text, weight in pieces(prompt) if weight == 1) if in_parts else prompt
        weights = re.findall(NUMBERED, rest)
        if weights:
            found.append(f"Weights of words in the prompt {name!r} are read as plain text: {', '.join(weights)}.")
        return found

    def null(self) -> Embedding:
        """The embedding that classifier-free guidance takes for no prompt, one row."""
        empty = self.embed("")
        if not self.zero_null:
            return empty
        pooled = None if empty.pooled is None else torch.zeros_like(empty.pooled)
        return Embedding(torch.zeros_like(empty.tokens), pooled)

    def along(self, prompts: tuple[str, ...]) -> Conditioning:
        """The conditioning along a path: no prompt (the empty one), one for the whole path, or one for each end.

        Raises:
            InputError: more than two prompts.
        """
        if len(prompts) > 2:
            raise InputError(f"A path between two images takes at most two prompts; got {len(prompts)}.")
        ends = [self.embed(prompt) for prompt in (prompts or ("",))]
        return Conditioning(ends[0], ends[-1])
