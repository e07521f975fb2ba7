"""Prompts: text to what the network reads. Each family of models has its own encoders and its own layout.

Stable Diffusion 1 and 2 read the last hidden states of one CLIP text encoder (2 ships it with its last layer left
out). SDXL reads the states before the last layer of two encoders, side by side, and the projected vector of the second
(Podell et al., 2023, section 2.1). Stable Diffusion 3 reads the same of two CLIP encoders, padded with zeros to the
width of a T5 encoder whose states follow them, and both projected vectors (Esser et al., ICML 2024, appendix B);
without T5 zeros take the place of its states. Flux reads the states of T5 and one CLIP vector.

A text encoder reads so many tokens and no more. Words that are cut off, words that a small vocabulary does not have,
and weights of words, which are not read as such, are told once for each prompt.
"""

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from geodesic_cli.diffusion.conditioning import Conditioning, Embedding
from geodesic_cli.errors import InputError

WEIGHTED = r"\([^()]+:\s*[0-9.]+\)"
"""A word with a weight, as some front ends write it."""
FEW_WORDS = 2000
"""Tokens of a vocabulary that was made for one set of words; published ones have 30,000 and more."""


class PromptRemark(UserWarning):
    """Something in a prompt is not read as it may be meant."""


@dataclass(frozen=True, eq=False)
class TextReader:
    """A tokenizer and its text encoder.

    Args:
        tokenizer: of transformers.
        encoder: a CLIP text model, with or without projection, or a T5 encoder.
        length: tokens that a prompt is padded or cut to; None is the tokenizer's own length.
    """

    tokenizer: Any
    encoder: Any
    length: int | None = None

    @torch.no_grad()
    def __call__(self, prompt: str, hidden_states: bool = False) -> Any:
        """The encoder's output for one prompt."""
        tokens = self.tokenizer(
            prompt, padding="max_length", max_length=self.tokens, truncation=True, return_tensors="pt"
        )
        ids = tokens.input_ids.to(self.encoder.device)
        return self.encoder(ids, output_hidden_states=True) if hidden_states else self.encoder(ids)

    @property
    def tokens(self) -> int:
        """How many tokens a prompt is padded or cut to."""
        return int(self.length or self.tokenizer.model_max_length)

    def cut(self, prompt: str) -> str:
        """The words at the end of a prompt that are not read."""
        ids = self.tokenizer(prompt, add_special_tokens=False, verbose=False).input_ids
        room = self.tokens - self.tokenizer.num_special_tokens_to_add()
        return str(self.tokenizer.decode(ids[room:])).strip() if len(ids) > room else ""

    def unknown(self, prompt: str) -> list[str]:
        """The words of a prompt that a small vocabulary of words does not have, so that they are read by letters."""
        if not self._of_words:
            return []
        words = dict.fromkeys(re.findall(r"[^\W\d_]{2,}", prompt.lower()))
        return [word for word in words if len(self.tokenizer.tokenize(word)) > 1]

    @cached_property
    def _of_words(self) -> bool:
        if len(self.tokenizer) > FEW_WORDS:
            return False
        return any(re.fullmatch(r"[a-z]{3,}(</w>)?", token) for token in self.tokenizer.get_vocab())


Join = Callable[[tuple[TextReader, ...], str], Embedding]
"""Text readers and a prompt -> its embedding, one row."""


def last_states(readers: tuple[TextReader, ...], prompt: str) -> Embedding:
    """Stable Diffusion 1 and 2."""
    return Embedding(readers[0](prompt).last_hidden_state)


def two_encoders(readers: tuple[TextReader, ...], prompt: str) -> Embedding:
    """SDXL."""
    outputs = [reader(prompt, hidden_states=True) for reader in readers]
    return Embedding(torch.cat([output.hidden_states[-2] for output in outputs], -1), outputs[-1].text_embeds)


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

    @torch.no_grad()
    def embed(self, prompt: str, *, remark: bool = True) -> Embedding:
        """The embedding of a prompt, one row, padded or cut to the tokenizer's length.

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
        unknown = list(dict.fromkeys(word for reader in self.readers for word in reader.unknown(prompt)))
        if unknown:
            found.append(f"The model does not know these words of the prompt {name!r}: {', '.join(unknown)}.")
        weights = re.findall(WEIGHTED, prompt)
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
