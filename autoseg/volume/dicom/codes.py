"""What structures are called in DICOM: SNOMED CT where the name is a common one and means one thing, else a private code.

Codes and meanings are those of DICOM's own context groups (PS3.16), as pydicom has them; a test compares. Abbreviations that mean
different things in different fields (LV: lateral ventricle, left ventricle) are left to the private scheme.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

SNOMED, DICOM_CODES, PRIVATE = "SCT", "DCM", "99AUTOSEG"  # 99 begins the name of every private scheme (PS3.16, chapter 8)
LONGEST_VALUE, LONGEST_MEANING = 16, 64  # of the value representations SH and LO


@dataclass(frozen=True)
class Concept:
    """A code, the scheme that it is taken from, and what it means."""

    value: str
    scheme: str
    meaning: str


ANATOMY = Concept("91723000", SNOMED, "Anatomical Structure")
ABNORMAL = Concept("49755003", SNOMED, "Morphologically Abnormal Structure")
LEARNED = Concept("123110", DICOM_CODES, "Artificial Intelligence")
SIDES = {"left": Concept("7771000", SNOMED, "Left"), "right": Concept("24028007", SNOMED, "Right")}

ORGANS = {
    "adrenal gland": ("23451007", "Adrenal gland"),
    "aorta": ("15825003", "Aorta"),
    "bladder": ("89837001", "Bladder"),
    "bone": ("272673000", "Bone"),
    "brain": ("12738006", "Brain"),
    "breast": ("76752008", "Breast"),
    "cavum septi pellucidi": ("74968005", "Cavum of septum pellucidum"),
    "cerebellum": ("113305005", "Cerebellum"),
    "cisterna magna": ("54165005", "Cisterna Magna"),
    "colon": ("71854001", "Colon"),
    "corpus callosum": ("88442005", "Corpus callosum"),
    "duodenum": ("38848004", "Duodenum"),
    "esophagus": ("32849002", "Esophagus"),
    "eye": ("81745001", "Eye"),
    "femur": ("71341001", "Femur"),
    "gallbladder": ("28231008", "Gallbladder"),
    "head": ("69536005", "Head"),
    "heart": ("80891009", "Heart"),
    "hepatic vein": ("8993003", "Hepatic vein"),
    "hippocampus": ("5366008", "Hippocampus"),
    "inferior vena cava": ("64131007", "Inferior vena cava"),
    "kidney": ("64033007", "Kidney"),
    "lateral ventricle": ("66720007", "Lateral Ventricle"),
    "left atrium": ("82471001", "Left atrium"),
    "liver": ("10200004", "Liver"),
    "lung": ("39607008", "Lung"),
    "lymph node": ("59441001", "Lymph Node"),
    "mandible": ("91609006", "Mandible"),
    "muscle": ("71616004", "Muscle"),
    "optic nerve": ("18234004", "optic nerve"),
    "ovary": ("15497006", "Ovary"),
    "pancreas": ("15776009", "Pancreas"),
    "parotid gland": ("45289007", "Parotid gland"),
    "placenta": ("78067005", "Placenta"),
    "portal vein": ("32764006", "Portal vein"),
    "prostate": ("41216001", "Prostate"),
    "rectum": ("34402009", "Rectum"),
    "rib": ("113197003", "Rib"),
    "right atrium": ("73829009", "Right atrium"),
    "sacrum": ("54735007", "Sacrum"),
    "skull": ("89546000", "Skull"),
    "small intestine": ("30315005", "Small intestine"),
    "spinal cord": ("2748008", "Spinal cord"),
    "spleen": ("78961009", "Spleen"),
    "stomach": ("69695003", "Stomach"),
    "thalamus": ("42695009", "Thalamus"),
    "thyroid": ("69748006", "Thyroid"),
    "tibia": ("12611008", "Tibia"),
    "trachea": ("44567001", "Trachea"),
    "uterus": ("35039007", "Uterus"),
    "vertebra": ("51282000", "Vertebra"),
}
FINDINGS = {
    "cyst": ("367643001", "Cyst"),
    "edema": ("79654002", "Edema"),
    "hematoma": ("35566002", "Hematoma"),
    "hemorrhage": ("50960005", "Hemorrhage"),
    "lesion": ("52988006", "Lesion"),
    "mass": ("4147007", "Mass"),
    "necrosis": ("6574001", "Necrosis"),
    "neoplasm": ("108369006", "Neoplasm"),
    "thyroid nodule": ("237495005", "Thyroid Nodule"),
}
OTHER_NAMES = {
    "csp": "cavum septi pellucidi",
    "cavum septum pellucidum": "cavum septi pellucidi",
    "cancer": "neoplasm",
    "haematoma": "hematoma",
    "haemorrhage": "hemorrhage",
    "hippocampi": "hippocampus",
    "oedema": "edema",
    "oesophagus": "esophagus",
    "ovaries": "ovary",
    "tumor": "neoplasm",
    "tumour": "neoplasm",
    "urinary bladder": "bladder",
    "vertebrae": "vertebra",
    "whole tumor": "neoplasm",
    "whole tumour": "neoplasm",
}


@dataclass(frozen=True)
class Property:
    """What a segment is: its category, its type, and the side of the body where the name tells one."""

    category: Concept
    type: Concept
    side: Concept | None = None


def property_of(name: str) -> Property:
    """The codes for a structure, whatever the case of its name; with a private code where the name is not a common one."""
    words = " ".join(re.split(r"[\s_-]+", name.casefold())).strip()
    found = _common(words)
    if found is not None:
        return found
    sides = [word for word in words.split() if word in SIDES]
    if len(sides) == 1:
        rest = " ".join(word for word in words.split() if word not in SIDES)
        one_sided = _common(rest)
        if one_sided is not None:
            return Property(one_sided.category, one_sided.type, SIDES[sides[0]])
    return Property(ANATOMY, _private(name))


def _common(words: str) -> Property | None:
    for form in (words, words.removesuffix("s")):
        known = OTHER_NAMES.get(form, form)
        for category, table in ((ANATOMY, ORGANS), (ABNORMAL, FINDINGS)):
            if known in table:
                value, meaning = table[known]
                return Property(category, Concept(value, SNOMED, meaning))
    return None


def _private(name: str) -> Concept:
    """The name itself where it is short, else its beginning and six digits of its hash, so that different names have different codes."""
    plain = re.sub(r"[\\\s]+", "_", name.strip()) or "structure"
    if len(plain) > LONGEST_VALUE or not plain.isascii():
        digest = hashlib.sha256(name.encode()).hexdigest()[:6]
        plain = f"{plain.encode('ascii', 'ignore').decode()[: LONGEST_VALUE - 7]}_{digest}"
    return Concept(plain, PRIVATE, name.replace("\\", "/")[:LONGEST_MEANING])
