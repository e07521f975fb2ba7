"""Prompts: text to the network's conditioning, and the conditioning c(u) along a path between two prompts."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from geodesic_cli.errors import InputError


@dataclass(frozen=True, eq=False)
class Conditioning:
    """c(u) = (1 - u) start + u end, the published choice (Yu et al., CVPR 2025): linear in the text embedding.

    Args:
        start: (tokens, width), the embedding at u = 0.
        end: (tokens, width), the embedding at u = 1; the same tensor where one prompt serves the whole path.
    """

    start: Tensor
    end: Tensor

    def __call__(self, u: Tensor) -> Tensor:
        """The conditioning (n, tokens, width) at positions u (n,)."""
        weight = u.to(self.start.device, self.start.dtype)[:, None, None]
        return torch.lerp(self.start.expand(len(u), -1, -1), self.end.expand(len(u), -1, -1), weight)


@dataclass(frozen=True, eq=False)
class PromptEncoder:
    """A CLIP tokenizer and text encoder as one function."""

    tokenizer: Any
    text_encoder: Any

    @torch.no_grad()
    def embed(self, prompt: str) -> Tensor:
        """The last hidden state (tokens, width) of a prompt, padded or cut to the tokenizer's length."""
        tokens = self.tokenizer(
            prompt,
            padding="max_length",
            max_length=self.tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        )
        return self.text_encoder(tokens.input_ids.to(self.text_encoder.device)).last_hidden_state[0]

    def along(self, prompts: tuple[str, ...]) -> Conditioning:
        """The conditioning along a path: no prompt (the empty one), one for the whole path, or one for each end.

        Raises:
            InputError: more than two prompts.
        """
        if len(prompts) > 2:
            raise InputError(f"A path between two images takes at most two prompts; got {len(prompts)}.")
        ends = [self.embed(prompt) for prompt in (prompts or ("",))]
        return Conditioning(ends[0], ends[-1])
