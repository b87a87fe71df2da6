"""The browser's decoder is the engine's vocabulary, and nothing else."""

from __future__ import annotations

from engine.vocabulary import EVENTS, TARGET, render


def test_the_generated_decoder_is_not_stale() -> None:
    assert TARGET.read_text(encoding="utf-8") == render(), "run python -m engine.vocabulary"


def test_rendering_is_pure() -> None:
    assert render() == render()


def test_every_event_has_a_decoder_of_its_own() -> None:
    text = render()
    for event in EVENTS:
        assert f'type: "{event.__name__}", number,' in text
