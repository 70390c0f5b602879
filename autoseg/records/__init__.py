"""What is written to disk: typed, frozen, strict records, one module per file."""

from autoseg.records.augmentation import AugmentationSpec
from autoseg.records.base import Part, Record, Shape, Spacing, write_text
from autoseg.records.checkpoint import Amendment, FoldCheckpoint
from autoseg.records.dataset import Case, ColourEncoding, Dataset, LabelEncoding, OutlineEncoding, Structure, ValueEncoding
from autoseg.records.engine_times import EngineMemory, EngineSetting, EngineTimes, Parity, ParitySetting, RememberedParity
from autoseg.records.fingerprint import CaseFacts, Fingerprint, Intensities, StructureSize
from autoseg.records.machine import MachineProfile, Throughput
from autoseg.records.model import Model, TrainedConfiguration, TrainedFold
from autoseg.records.plan import (
    Configuration,
    Decision,
    InferenceSpec,
    NetworkSpec,
    Normalization,
    Plan,
    Preparation,
    TrainingSpec,
)
from autoseg.records.predictions import Extra, InferenceProfile, PredictedCase, Predictions
from autoseg.records.scores import CaseScores, Scores, StructureScores, Summary
from autoseg.records.splits import FULL, Fold, Splits
from autoseg.records.transfer import InitialWeights, StartingWeights, Transfer

__all__ = [
    "FULL",
    "Amendment",
    "AugmentationSpec",
    "Case",
    "CaseFacts",
    "CaseScores",
    "ColourEncoding",
    "Configuration",
    "Dataset",
    "Decision",
    "EngineMemory",
    "EngineSetting",
    "EngineTimes",
    "Extra",
    "Fingerprint",
    "Fold",
    "FoldCheckpoint",
    "InferenceProfile",
    "InferenceSpec",
    "InitialWeights",
    "Intensities",
    "LabelEncoding",
    "MachineProfile",
    "Model",
    "NetworkSpec",
    "Normalization",
    "OutlineEncoding",
    "Parity",
    "ParitySetting",
    "Part",
    "Plan",
    "PredictedCase",
    "Predictions",
    "Preparation",
    "Record",
    "RememberedParity",
    "Scores",
    "Shape",
    "Spacing",
    "Splits",
    "StartingWeights",
    "Structure",
    "StructureScores",
    "StructureSize",
    "Summary",
    "Throughput",
    "TrainedConfiguration",
    "TrainedFold",
    "TrainingSpec",
    "Transfer",
    "ValueEncoding",
    "write_text",
]
