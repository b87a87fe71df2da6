"""The browser's decoder is the engine's vocabulary, and nothing else."""

from __future__ import annotations

from engine.kafka.events import KAFKA
from engine.vocabulary import EVENTS, KAFKA_TARGET, TARGET, render, render_more


def test_the_generated_decoders_are_not_stale() -> None:
    assert TARGET.read_text(encoding="utf-8") == render(), "run python -m engine.vocabulary"
    assert KAFKA_TARGET.read_text(encoding="utf-8") == render_more(), "run python -m engine.vocabulary"


def test_rendering_is_pure() -> None:
    assert render() == render()
    assert render_more() == render_more()


def test_every_event_has_a_decoder_of_its_own() -> None:
    for events, text in ((EVENTS, render()), (KAFKA, render_more())):
        for event in events:
            assert f'type: "{event.__name__}", number,' in text


def test_no_event_has_a_field_that_hides_its_type_or_number() -> None:
    for event in (*EVENTS, *KAFKA):
        assert not {"type", "number"} & set(event.__struct_fields__), event.__name__
