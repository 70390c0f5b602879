"""What a case takes, how many tiles go together, and that no more is in memory than there is room for."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from autoseg.engines.device import peak_memory
from autoseg.errors import CaseTooLarge, DataError
from autoseg.inference.case import Job, prepare_case, segment
from autoseg.inference.inputs import PredictionInput, find_inputs
from autoseg.inference.memory import Capacity, Room, case_bytes, with_tiles
from tests.stages.predicting import Threshold, by_id, plan_of, predict, save_picture

MB = 10**6


def volume(folder: Path, name: str, shape: tuple[int, int, int]) -> PredictionInput:
    path = folder / f"{name}.nii.gz"
    array = np.random.default_rng(0).integers(0, 2, shape).astype(np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(array), str(path))
    return PredictionInput.of(name, [path])


def job_for(rank: int = 3, spacing: tuple[float, ...] | None = None) -> Job:
    plan = plan_of(rank, spacing)
    return Job(plan, plan.configurations[plan.default])


@pytest.mark.parametrize("coarser", [1.0, 2.0, 0.8])
def test_the_estimate_holds_and_is_not_far_off(tmp_path: Path, coarser: float) -> None:
    """Reading, preparing and deciding a volume of 4 million voxels takes at most what is said, and at least a quarter of it."""
    item, job = volume(tmp_path, "a", (128, 180, 180)), job_for(3, (coarser,) * 3)
    segment(prepare_case(item, job), job, Threshold())  # libraries take what they keep
    with peak_memory(torch.device("cpu")) as peak:
        segment(prepare_case(item, job), job, Threshold())
    if not peak.bytes:
        pytest.skip("this system does not tell the peak")
    assert peak.bytes <= case_bytes(item, job) <= 4 * peak.bytes


def test_what_is_known_before_a_value_is_read(tmp_path: Path) -> None:
    """Twice the voxels, twice the memory; a header that cannot be read is the case's fault."""
    small, large = (case_bytes(volume(tmp_path, name, (60, 100, n)), job_for()) for name, n in (("s", 100), ("l", 200)))
    assert large == pytest.approx(2 * small, rel=0.05)
    (tmp_path / "bad.nii.gz").write_bytes(b"nothing")
    with pytest.raises(DataError):
        case_bytes(PredictionInput.of("bad", [tmp_path / "bad.nii.gz"]), job_for())


def test_tiles_take_half_of_what_a_case_leaves() -> None:
    capacity = Capacity(bytes=100 * MB, held=0, tile_bytes=10 * MB)
    assert [capacity.tiles_for(taken * MB, 8) for taken in (0, 40, 60, 100)] == [6, 4, 3, 1]
    assert capacity.tiles_for(0, 2) == 2
    assert with_tiles(job_for(), 3).configuration.inference.tile_batch_size == 3


def test_what_is_too_large_is_told_with_the_way_out() -> None:
    item = PredictionInput("a", (Path("a.png"),), ".png")
    Capacity(bytes=3000 * MB, held=1000 * MB).refuse(item, 3000 * MB)
    with pytest.raises(
        CaseTooLarge,
        match=r"needs about 3\.50GB of memory beside the 1\.00GB of .* --memory allows 4\.00GB: give --memory 4\.50GB",
    ):
        Capacity(bytes=3000 * MB, held=1000 * MB, limit=4000 * MB).refuse(item, 3500 * MB)
    with pytest.raises(CaseTooLarge, match=r"this machine has 3\.00GB left"):
        Capacity(bytes=3000 * MB, held=1000 * MB).refuse(item, 3500 * MB)


def test_a_case_waits_until_there_is_room() -> None:
    room, entered = Room(100), threading.Event()
    room.enter("a", 60)

    def second() -> None:
        room.enter("b", 60)
        entered.set()

    thread = threading.Thread(target=second)
    thread.start()
    assert not entered.wait(0.1)
    room.leave("a")
    assert entered.wait(5)
    thread.join()
    room.leave("b")
    room.enter("c", 1000)  # the first may always


def test_who_waits_is_sent_away_when_the_work_ends() -> None:
    room, told = Room(100), []
    room.enter("a", 60)

    def second() -> None:
        try:
            room.enter("b", 60)
        except RuntimeError as error:
            told.append(str(error))

    thread = threading.Thread(target=second)
    thread.start()
    room.close()
    thread.join(5)
    assert told == ["the work has ended"]


def test_a_case_too_large_does_not_stop_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three volumes the second does not fit into what --memory leaves; it says so, and the record tells why."""
    items = [volume(tmp_path, name, shape) for name, shape in (("a", (20,) * 3), ("b", (300, 300, 300)), ("c", (20,) * 3))]
    capacity = Capacity(bytes=200 * MB, held=800 * MB, limit=1000 * MB)  # what other tests left in this process is not asked
    monkeypatch.setattr(Capacity, "measured", lambda job, engines, limit: capacity)
    predictions = predict(items, tmp_path / "out", plan_of(3), memory_bytes=capacity.limit)
    assert by_id(predictions) == {"a": "done", "b": "failed", "c": "done"}
    failed = predictions.cases[1]
    assert failed.reason == "memory" and "give --memory" in (failed.error or "")


def test_a_small_memory_predicts_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for one and a half pictures they go one after another and tile by tile; with more, side by side."""
    (tmp_path / "images").mkdir()
    for number in range(5):
        save_picture(tmp_path / "images" / f"{number}.png", 5 + number, (200, 200))
    plan = plan_of(2)
    (largest,) = {case_bytes(item, job_for(2)) for item in find_inputs(tmp_path / "images", plan.channels)}
    seen: list[tuple[int, int]] = []
    enter = Room.enter

    def watched(self: Room, case: str, n_bytes: int) -> None:
        enter(self, case, n_bytes)
        seen.append((len(self._taken), n_bytes))

    monkeypatch.setattr(Room, "enter", watched)
    most = {}
    for name, size in (("tight", int(1.5 * largest)), ("wide", 100 * largest)):
        capacity = Capacity(bytes=size, held=0, tile_bytes=largest)
        monkeypatch.setattr(Capacity, "measured", lambda job, engines, limit, found=capacity: found)
        seen.clear()
        assert set(by_id(predict(tmp_path / "images", tmp_path / name, plan)).values()) == {"done"}
        most[name] = max(seen)
    assert most["tight"] == (1, largest)
    assert most["wide"][0] >= 2 and most["wide"][1] == 4 * largest
    for number in range(5):
        assert (tmp_path / "tight" / f"{number}.png").read_bytes() == (tmp_path / "wide" / f"{number}.png").read_bytes()
