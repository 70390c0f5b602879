"""How well a network knows which of its masks are good, on the cases that it had not seen.

    python tools/study_trust.py predict RUN CASES.json [RUN ...]     # fold 0, profiles best and balanced; several runs vote together
    python tools/study_trust.py report CASES.json
    python tools/study_trust.py transfer SINGLE.json TOGETHER.json   # learned on one network, applied to several that vote together
    python tools/study_trust.py cost RUN                             # seconds in the network with and without evidence, in turns

`report` prints, for every structure, how predicted and real Dice agree when every subject is predicted from the others, for several sets
of features; for a fetal head the intervals of its circumference and their coverage; the share of good and bad cases flagged; and the
temperature. What is cross-fitted is the mean over fifty splits of the subjects into five parts; the exact interval beside it is that of the
first split.
Runs that vote together must have been trained on the same folds.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from autoseg.engines.torch_engine import load_engine
from autoseg.inference.case import Job, prepare_case, segment
from autoseg.inference.profiles import with_profile
from autoseg.metrics.conformal import coverage, cross_intervals, fit_interval
from autoseg.metrics.ellipse_agreement import ellipse_dice
from autoseg.metrics.predicted_dice import (
    agreement_with_real,
    cross_predicted_dice,
    fit_predicted_dice,
    predict_dice,
    why_not_trusted,
)
from autoseg.metrics.proportion import rank_correlation
from autoseg.metrics.review import cross_review, review_rates
from autoseg.metrics.scoring import score_masks
from autoseg.metrics.structures import ScoredStructure
from autoseg.metrics.temperature import PixelSample, calibration_error, draw_pixels, fit_temperature, negative_log_likelihood
from autoseg.pipeline.validation import prediction_inputs
from autoseg.processing.cases import load_labels
from autoseg.records import Plan
from autoseg.run_folder import RunFolder

PROFILES = ("best", "balanced")
SPLITS = 50  # into five parts by subject, for what is cross-fitted
GOOD = (0.9, 0.95)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("predict", "report", "transfer", "cost"))
    parser.add_argument("paths", type=Path, nargs="+")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.what == "cost":
        cost(options.paths[0])
    elif options.what == "transfer":
        transfer(*options.paths)
    elif options.what == "predict":
        run, out, *others = options.paths
        predict([run, *others], out)
    else:
        report(options.paths[0])


def predict(runs: Sequence[Path], out: Path) -> None:
    job, engine, inputs = _opened(runs)
    dataset, plan = RunFolder(runs[0]).dataset(), job.plan
    cases, structures = {case.id: case for case in dataset.cases}, _structures(plan)
    found: dict[str, list[dict[str, object]]] = {}
    pixels: dict[str, np.ndarray] = {}
    for profile in PROFILES:
        how = replace(job, configuration=with_profile(job.configuration, profile), save=frozenset({"probabilities"}))
        for item in inputs:
            seen = segment(prepare_case(item, how), how, engine)
            labels = load_labels(dataset, cases[item.id])
            scores = score_masks(labels, seen.winners, structures, seen.prepared.spacing_mm)
            sample = draw_pixels(seen.probabilities, labels)
            pixels |= {f"{profile}/{item.id}/{name}": getattr(sample, name) for name in ("logits", "labels", "weights")}
            case = {"id": item.id, "subject": cases[item.id].subject, "evidence": seen.evidence.model_dump()}
            case["scores"] = {name: score.model_dump() for name, score in scores.items()}
            case["ellipse_dice"] = ellipse_dice(seen.winners > 0, seen.prepared.spacing_mm or (1, 1)) if plan.rank == 2 else None
            found.setdefault(profile, []).append(case)
    out.write_text(json.dumps(found), encoding="utf-8")
    np.savez_compressed(out.with_suffix(".npz"), **pixels)


def report(path: Path) -> None:
    found = json.loads(path.read_text(encoding="utf-8"))
    with np.load(path.with_suffix(".npz")) as pixels:
        for profile, cases in found.items():
            for name in cases[0]["scores"]:
                _report_structure(f"{profile} {name}", name, cases)
            parts = ("logits", "labels", "weights")
            _report_temperature([PixelSample(*(pixels[f"{profile}/{case['id']}/{part}"] for part in parts)) for case in cases])


def transfer(single: Path, together: Path) -> None:
    """Every subject's masks by several networks, predicted by a model of the other subjects' masks by one of them."""
    learned, applied = (json.loads(path.read_text(encoding="utf-8")) for path in (single, together))
    for profile, cases in learned.items():
        subjects = [case["subject"] for case in cases]
        for name in cases[0]["evidence"]["structures"]:
            (known, dice), (new, real) = _features(cases, name), _features(applied[profile], name)
            guesses = []
            for place, subject in enumerate(subjects):
                others = [other for other, own in enumerate(subjects) if own != subject]
                model = fit_predicted_dice(
                    {feature: [values[other] for other in others] for feature, values in known.items()},
                    [dice[other] for other in others],
                )
                guesses.append(predict_dice(model, {feature: values[place] for feature, values in new.items()}))
            error, agreement = np.abs(np.array(guesses) - real).mean(), agreement_with_real(guesses, real).value
            print(
                f"{profile} {name}: real Dice {np.mean(real):.4f}, predicted {np.mean(guesses):.4f}, mean error {error:.4f}, Spearman {agreement:.2f}"
            )


def cost(run: Path) -> None:
    job, engine, inputs = _opened([run])
    for profile in (*PROFILES, "fast"):
        plain = replace(job, configuration=with_profile(job.configuration, profile), evidence=False)
        both = {False: plain, True: replace(plain, evidence=True)}
        ratios, seconds = [], []
        for item in inputs[:20]:
            prepared = prepare_case(item, both[True])
            taken: dict[bool, list[float]] = {False: [], True: []}
            for turn in range(3):
                for asked in (turn % 2 == 0, turn % 2 == 1):
                    taken[asked].append(segment(prepared, both[asked], engine).network_seconds)
            seconds.append(min(taken[False]))
            ratios.append(min(taken[True]) / min(taken[False]))
        print(
            f"{profile}: {np.mean(seconds):.3f} s a case without, ratio {np.median(ratios):.3f} with (median of {len(ratios)} cases)"
        )


def _opened(runs: Sequence[Path]):
    folder, weights = RunFolder(runs[0]), []
    for run in map(RunFolder, runs):
        fold = run.model().configurations[0].folds[0]
        weights.append((run.root / fold.weights, fold.sha256))
    plan, dataset = folder.plan(), folder.dataset()
    configuration = plan.configurations[folder.model().configurations[0].name]
    spacings = {case.id: case.spacing_mm for case in dataset.cases if case.spacing_mm}
    job = Job(plan, configuration, spacings, trust_file_spacing=dataset.trust_file_spacing, unknown_spacing="keep", evidence=True)
    inputs = prediction_inputs(dataset, tuple(folder.splits().folds[0].validation))
    return job, load_engine(configuration.network, weights), inputs


def _structures(plan: Plan) -> list[ScoredStructure]:
    single = [ScoredStructure(target.name, frozenset(target.values), frozenset(target.values), True) for target in plan.targets]
    everything = frozenset(value for target in plan.targets for value in target.values)
    return single if len(single) == 1 else [*single, ScoredStructure("foreground", everything, everything, False)]


def _report_structure(title: str, name: str, cases: list[dict]) -> None:
    dice = [case["scores"][name]["dice"] for case in cases]
    subjects = [case["subject"] for case in cases]
    evidence = [
        case["evidence"]["foreground"] if name == "foreground" else case["evidence"]["structures"][name] for case in cases
    ]
    features = {feature: [one[feature] for one in evidence] for feature in ("soft_dice", "mirror_dice")}
    if cases[0]["ellipse_dice"] is not None:
        features["ellipse_dice"] = [case["ellipse_dice"] for case in cases]
    below = sum(value < GOOD[0] for value in dice)
    print(f"\n{title}: {len(dice)} cases, {len(set(subjects))} subjects, mean Dice {np.mean(dice):.4f}, {below} below {GOOD[0]}")
    constant = np.mean(np.abs(np.array(dice) - np.median(dice)))
    sets = [(feature,) for feature in features] + [("soft_dice", "mirror_dice"), tuple(features)]
    for chosen in dict.fromkeys(sets):
        some = {feature: features[feature] for feature in chosen}
        guesses = cross_predicted_dice(some, dice, subjects)
        agreement, model = agreement_with_real(guesses, dice), fit_predicted_dice(some, dice)
        error = np.mean([abs(guess - real) for guess, real in zip(guesses, dice, strict=True) if guess is not None])
        told = "none" if agreement is None else f"{agreement.value:.2f} ({agreement.low:.2f} to {agreement.high:.2f})"
        weights = () if model is None else tuple(round(weight, 2) for weight in model.weights)
        print(f"  {' + '.join(chosen):40} Spearman {told}, mean error {error:.4f} (constant {constant:.4f}), weights {weights}")
    if (sentence := why_not_trusted(agreement)) is not None:
        print(f"  {sentence}")
    doubts = {"predicted Dice": [None if guess is None else 1 - guess for guess in guesses]}
    _report_review(doubts, dice, subjects)
    if "ellipse_dice" in features:
        _report_review(doubts | {"ellipse": [1 - value for value in features["ellipse_dice"]]}, dice, subjects)
    _report_circumference(name, cases, subjects, doubts["predicted Dice"])


def _features(cases: list[dict], name: str) -> tuple[dict[str, list], list[float]]:
    features = {
        feature: [case["evidence"]["structures"][name][feature] for case in cases] for feature in ("soft_dice", "mirror_dice")
    }
    if cases[0]["ellipse_dice"] is not None:
        features["ellipse_dice"] = [case["ellipse_dice"] for case in cases]
    return features, [case["scores"][name]["dice"] for case in cases]


def _report_review(doubts: dict[str, list], dice: list[float], subjects: list[str]) -> None:
    for limit in GOOD:
        good = [value >= limit for value in dice]
        rates = [review_rates(cross_review(doubts, good, _parts(subjects, seed)), good) for seed in range(SPLITS)]
        parts = []
        for words, shares in (("good flagged", [r.good_flagged for r in rates]), ("bad found", [r.bad_found for r in rates])):
            known = [share for share in shares if share is not None]
            if known:
                parts.append(
                    f"{words} {np.mean([s.share for s in known]):.3f} of {known[0].total:g} ({known[0].low:.3f} to {known[0].high:.3f})"
                )
        print(
            f"  review by {' and '.join(doubts)}, good is Dice >= {limit}: {', '.join(parts) or 'too few good cases for a rule'}"
        )


def _report_circumference(name: str, cases: list[dict], subjects: list[str], doubt: list[float | None]) -> None:
    key = ("circumference_predicted_mm", "circumference_reference_mm")
    measured, true = ([case["scores"][name][one] for case in cases] for one in key)
    if any(value is None for value in (*measured, *true, *doubt)):
        return
    error = np.abs(np.array(measured) - true)
    print(
        f"  circumference: mean error {error.mean():.2f} mm; Spearman of it with 1 - predicted Dice {rank_correlation(doubt, error).value:.2f}"
    )
    for words, difficulty in (("alike", None), ("by predicted Dice", doubt)):
        fit = fit_interval(measured, true, subjects, difficulty=difficulty)
        if fit.model is None:
            print(f"  {fit.reason}")
            continue
        intervals = [
            cross_intervals(measured, true, subjects, _parts(subjects, seed), difficulty=difficulty) for seed in range(SPLITS)
        ]
        shares = [coverage(found, true, subjects) for found in intervals]
        width = np.mean([high - low for found in intervals for low, high in filter(None, found)])
        told = f"{np.mean([share.share for share in shares]):.3f} ({shares[0].low:.3f} to {shares[0].high:.3f})"
        print(
            f"  intervals, cases {words}: {fit.model.low:.4f} to {fit.model.high:.4f}, coverage {told}, mean width {width:.1f} mm"
        )


def _report_temperature(samples: list[PixelSample]) -> None:
    """Found on every other case, tried on those between."""
    fitted, tried = PixelSample.joined(samples[::2]), PixelSample.joined(samples[1::2])
    t = fit_temperature(fitted)
    likelihoods = [negative_log_likelihood(tried, value) for value in (1.0, t)]
    errors = [calibration_error(tried, value) for value in (1.0, t)]
    print(
        f"temperature {t:.3f}; on other cases {likelihoods[0]:.4f} -> {likelihoods[1]:.4f} nats, error {errors[0]:.4f} -> {errors[1]:.4f}"
    )


def _parts(subjects: list[str], seed: int, n_parts: int = 5) -> list[int]:
    order = np.random.default_rng(seed).permutation(sorted(set(subjects))).tolist()
    return [order.index(subject) % n_parts for subject in subjects]


if __name__ == "__main__":
    main()
