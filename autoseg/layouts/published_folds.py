"""Folds that everybody gets alike: a rule that looks at the subject's name alone, whatever else of the set is at hand.

Folds that are dealt out (`stages.split`) depend on every case that is there; a published figure then is of folds that a second person,
with a part of the set or with other annotations, does not have. Here each subject's place follows from its name and a stated seed.
"""

from __future__ import annotations

import hashlib

SEED = 8265464  # the record of the set that the rule was made for
HELD_OUT_SHARE = 0.2
FOLDS = 5
DIGITS = 13  # of the digest, in base 16: more than a float can hold apart


def place_of(subject: str) -> int | None:
    """The fold that a subject is validated in, from 0 to 4; None: it is held out of all.

    SHA-256 of "<seed> <subject>" as a fraction of its range: below 0.2 it is held out, and the rest is cut into five equal parts.
    """
    digest = hashlib.sha256(f"{SEED} {subject}".encode()).hexdigest()
    fraction = int(digest[:DIGITS], 16) / 16**DIGITS
    if fraction < HELD_OUT_SHARE:
        return None
    return min(int((fraction - HELD_OUT_SHARE) / (1 - HELD_OUT_SHARE) * FOLDS), FOLDS - 1)
