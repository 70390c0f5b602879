"""What the values of labels suggest that nothing declares."""

from __future__ import annotations

from autoseg.stages.check.examination import set_of
from autoseg.stages.check.facts import with_scheme
from autoseg.stages.check.guesses import guessed
from tests.stages.check.sets import label_look, look, numbered, set_look


def test_nothing_to_be_said_of_one_value_and_of_declared_ones() -> None:
    assert guessed(set_look(numbered(10), declared=False)) == []
    assert guessed(set_look([*numbered(10), look("x", label=label_look({"0": 9999, "9": 1}))])) == []


def test_one_structure_in_two_codings() -> None:
    white = look("white", label=label_look({"0": 9000, "255": 1000}))
    (found,) = guessed(set_look([*numbered(3), white], declared=False))
    assert (found.kind, found.severity, found.cases) == ("two codings", "error", ("white",))
    both = look("both", label=label_look({"0": 9000, "1": 500, "255": 500}))
    assert guessed(set_look([*numbered(3), white, both], declared=False)) == []


def test_a_value_that_hardly_occurs_where_nothing_is_declared() -> None:
    stray = look("stray", label=label_look({"0": 5000, "1": 4997, "130": 3}))
    (found,) = guessed(set_look([*numbered(20), stray], declared=False))
    assert (
        found.kind == "rare values"
        and found.cases == ("stray",)
        and "value 130 occurs in 1 label of 21, with 3 pixels" in found.told
    )
    large = look("lesion", label=label_look({"0": 5000, "1": 4000, "2": 1000}))
    assert guessed(set_look([*numbered(20), large], declared=False)) == []
    few = look("few", label=label_look({"0": 5000, "1": 4970, "130": 30}))
    assert guessed(set_look([*numbered(5), few], declared=False)) == []  # nothing is rare among six
    (found,) = guessed(set_look([*numbered(5), stray], declared=False))  # but three pixels are no structure
    assert found.cases == ("stray",)


def test_values_that_mean_nothing() -> None:
    instances = look("cells", label=label_look({"0": 5000, **{str(value): 10 for value in range(1, 400)}}))
    dataset = set_look([instances], names=(), declared=False).dataset
    (found,) = guessed(set_of(dataset, [instances], folds=5))
    assert found.severity == "error" and "hold 399 different values from 1 to 399" in found.told
    nothing = look("empty", label=label_look({"0": 10_000}))
    (found,) = guessed(set_of(dataset, [nothing], folds=5))
    assert "there is no structure to learn" in found.told


def test_neighbouring_greys_that_never_meet() -> None:
    """As axons are 127 in some masks of a public set, and 128 in others."""
    looks = [look(f"a{n}", label=label_look({"0": 8000, "127": 1000, "255": 1000})) for n in range(3)]
    looks.append(look("b", label=label_look({"0": 8000, "128": 1000, "255": 1000})))
    (found,) = guessed(set_look(looks, declared=False))
    assert found.kind == "two codings" and found.severity == "warning" and found.cases == ("b",) and not found.fixable
    both = look("both", label=label_look({"0": 8000, "127": 1000, "128": 1000}))
    assert guessed(set_look([*looks, both], declared=False)) == []
    classes = [look("a", label=label_look({"0": 9000, "3": 1000})), look("b", label=label_look({"0": 9000, "4": 1000}))]
    assert guessed(set_look(classes, declared=False)) == []


def test_colours_without_names() -> None:
    looks = [look(f"c{place}", label=label_look({"0,0,0": 9000, "9,8,7": 1000}, coloured=True)) for place in range(3)]
    (found,) = guessed(set_look(looks, names=(), declared=False))
    assert found.kind == "colours" and found.fixable and "9,8,7 (3 images)" in found.told and "in values" not in found.told
    grey = [look("grey"), look("empty", label=label_look({"0": 10_000}))]
    mixed = [
        *grey,
        *(
            look(f"m{place}", label=label_look({"0,0,0": 9000, "9,8,7": 1000}, coloured=True, in_channels=True))
            for place in range(3)
        ),
    ]
    told = next(one.told for one in guessed(set_look(mixed, names=(), declared=False)) if one.kind == "colours")
    assert "1 other label in values, and nothing tells which colour is which value" in told


def test_a_scheme_is_made_of_the_labels_that_are_masks() -> None:
    dataset = set_look([], names=(), declared=False).dataset
    looks = [
        *numbered(3),
        look("soft", label=label_look({"0": 9000, "1": 400, "2": 600}, soft=600)),
        look("jpg", label=label_look(lossy=True)),
    ]
    assert [target.name for target in with_scheme(dataset, looks).targets] == ["foreground"]
    two = [*numbered(3), look("b", label=label_look({"0": 9000, "4": 1000}))]
    made = with_scheme(dataset, two)
    assert [(target.name, target.output_value) for target in made.targets] == [("class_1", 1), ("class_4", 4)]
    the_set = set_of(dataset.model_copy(update={"cases": tuple(one.case for one in two)}), two, folds=5)
    assert not the_set.declared and the_set.structure_pixels(two[-1]) == {"class_1": 0, "class_4": 1000}
    white = [*numbered(3), look("white", label=label_look({"0": 9000, "255": 1000}))]
    assert [target.name for target in with_scheme(dataset, white).targets] == ["foreground"]
    colours = [look("c", label=label_look({"0,0,0": 9000, "9,8,7": 1000}, coloured=True))]
    assert with_scheme(dataset, colours).targets == ()
