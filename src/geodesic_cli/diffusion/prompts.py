"""Prompts: text to what the network reads. Each family of models has its own encoders and its own layout.

Stable Diffusion 1 and 2 read the last hidden states of one CLIP text encoder (2 ships it with its last layer left
out). SDXL reads the states before the last layer of two encoders, side by side, and the projected vector of the second
(Podell et al., 2023, section 2.1). Stable Diffusion 3 reads the same of two CLIP encoders, padded with zeros to the
width of a T5 encoder whose states follow them, and both projected vectors (Esser et al., ICML 2024, appendix B);
without T5 zeros take the place of its states. Flux reads the states of T5 and one CLIP vector.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from geodesic_cli.diffusion.conditioning import Conditioning, Embedding
from geodesic_cli.errors import InputError


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
            prompt,
            padding="max_length",
            max_length=self.length or self.tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        )
        ids = tokens.input_ids.to(self.encoder.device)
        return self.encoder(ids, output_hidden_states=True) if hidden_states else self.encoder(ids)


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
    """

    readers: tuple[TextReader, ...]
    join: Join = last_states
    zero_null: bool = False

    @property
    def encoders(self) -> tuple[Any, ...]:
        """The text encoders; their weights decide an embedding."""
        return tuple(reader.encoder for reader in self.readers)

    @torch.no_grad()
    def embed(self, prompt: str) -> Embedding:
        """The embedding of a prompt, one row, padded or cut to the tokenizer's length."""
        return self.join(self.readers, prompt)

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
