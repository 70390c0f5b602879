"""The journal keeps epochs and events, survives a cut-off line, and goes back to a checkpoint."""

from __future__ import annotations

from pathlib import Path

from autoseg.learning.journal import EpochLine, EventLine, Journal, read_journal


def line(epoch: int, dice: dict[str, float | None] | None = None) -> EpochLine:
    return EpochLine(
        epoch=epoch,
        steps=5 * (epoch + 1),
        learning_rate=0.01,
        train_loss=1.0,
        validation_loss=None,
        dice=dice or {},
        seconds=2.0,
        steps_per_second=2.5,
    )


def test_mean_dice_leaves_out_what_is_absent() -> None:
    assert line(0, {"a": 0.5, "b": None, "c": 1.0}).mean_dice == 0.75
    assert line(0, {"b": None}).mean_dice is None


def test_epochs_and_events_are_read_back_without_a_cut_off_line(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.append(line(0))
    journal.note("warning", 1, "nothing is found yet")
    journal.append(line(1))
    with (tmp_path / "j").open("a") as file:
        file.write('{"epoch": 2, "steps"')
    assert read_journal(tmp_path / "j") == (
        [line(0), line(1)],
        [EventLine(event="warning", epoch=1, text="nothing is found yet")],
    )
    assert read_journal(tmp_path / "absent") == ([], [])


def test_going_back_drops_what_will_be_trained_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    for epoch in range(4):
        journal.append(line(epoch))
        journal.note("amended", epoch + 1, "length")
    again = Journal(tmp_path / "j")
    again.cut_back(2)
    assert [kept.epoch for kept in again.lines] == [0, 1]
    assert [kept.epoch for kept in again.events] == [1, 2]
    assert read_journal(tmp_path / "j") == (again.lines, again.events)
    again.note("amended", 0, "before the first epoch")
    again.cut_back(None)
    assert read_journal(tmp_path / "j") == (again.lines, again.events) == ([], []), "without a checkpoint all is done again"


def test_an_event_that_repeats_itself_is_written_once_and_all_is_told(tmp_path: Path) -> None:
    told: list[EpochLine | EventLine] = []

    class Listening:
        epoch = staticmethod(told.append)
        event = staticmethod(told.append)

    journal = Journal(tmp_path / "j", Listening())
    for _ in range(2):
        journal.note("skipped", 0, "step 3")
    journal.append(line(0))
    assert told == [EventLine(event="skipped", epoch=0, text="step 3"), line(0)]
    assert len((tmp_path / "j").read_text().splitlines()) == 2
