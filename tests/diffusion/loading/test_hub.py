"""What several models hold alike is taken from the cache, or from the first model on the Hub that holds it."""

from pathlib import Path

import huggingface_hub.constants as constants
from hub import at, offline, serving

from geodesic_cli.diffusion.loading.hub import part_of_any


def tokenizer_of(folder: Path) -> Path | None:
    return folder / "tokenizer" if (folder / "tokenizer" / "vocab.json").is_file() else None


def test_a_part_is_taken_from_the_cache_or_from_the_first_model_on_the_hub_that_holds_it(
    folder, cache, monkeypatch, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "model_index.json").write_text("{}")
    sources, files = ("gone/x", "other/x", "someone/tiny", "never/x"), ("tokenizer/vocab.json", "model_index.json")
    with serving(other__x=tmp_path / "other", someone__tiny=folder) as hub:
        at(hub, monkeypatch)
        place, reason = part_of_any(sources, files, tokenizer_of)
        assert place is not None and (place / "vocab.json").is_file() and not reason
        assert hub.fetched == {"tokenizer/vocab.json", "model_index.json"}
        assert not any("never" in asked for asked in hub.asked)
        before = len(hub.asked)
        assert part_of_any(sources, files, tokenizer_of) == (place, "")
        assert len(hub.asked) == before, "what is in the cache needs no network"
        nowhere, reason = part_of_any(sources[:2], files, tokenizer_of)
        assert nowhere is None
        assert reason == "there is no gone/x, or it is private; other/x does not hold it"
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    nowhere, reason = part_of_any(("a/x", "b/x"), files, tokenizer_of)
    assert nowhere is None and reason.startswith("a/x cannot be reached") and "b/x" not in reason
    offline(monkeypatch)
    assert part_of_any(("a/x",), files, tokenizer_of) == (None, "HF_HUB_OFFLINE is set")
    assert part_of_any((str(folder),), files, tokenizer_of) == (folder / "tokenizer", "")
