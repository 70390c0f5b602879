"""What is written to disk: typed, frozen, strict records, one module per file."""

from autoseg.records.augmentation import AugmentationSpec
from autoseg.records.base import Part, Record, Shape, Spacing, write_text
from autoseg.records.card import Extent, ModelCard, StructureFacts, ValidationFigures
from autoseg.records.checkpoint import Amendment, FoldCheckpoint
from autoseg.records.dataset import Case, ColourEncoding, Dataset, LabelEncoding, OutlineEncoding, Structure, ValueEncoding
from autoseg.records.diagnosis import CaseDiagnosis, Diagnosis, Finding, FindingKind, NotJudged, StructureDiagnosis
from autoseg.records.engine_times import EngineMemory, EngineSetting, EngineTimes, Parity, ParitySetting, RememberedParity
from autoseg.records.fingerprint import CaseFacts, Fingerprint, Intensities, StructureSize
from autoseg.records.inference_description import (
    AxesRule,
    ChannelRule,
    CropRule,
    DecisionRule,
    GraphFile,
    InferenceDescription,
    LabelRule,
    MirrorRule,
    ResamplingRule,
    WindowRule,
)
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
from autoseg.records.selection import Judgement, PostprocessingStep, Selection, SelectionReport
from autoseg.records.splits import FULL, Fold, Splits
from autoseg.records.transfer import InitialWeights, StartingWeights, Transfer

__all__ = [
    "FULL",
    "Amendment",
    "AugmentationSpec",
    "AxesRule",
    "Case",
    "CaseDiagnosis",
    "CaseFacts",
    "CaseScores",
    "ChannelRule",
    "ColourEncoding",
    "Configuration",
    "CropRule",
    "Dataset",
    "Decision",
    "DecisionRule",
    "Diagnosis",
    "EngineMemory",
    "EngineSetting",
    "EngineTimes",
    "Extent",
    "Extra",
    "Finding",
    "FindingKind",
    "Fingerprint",
    "Fold",
    "FoldCheckpoint",
    "GraphFile",
    "InferenceDescription",
    "InferenceProfile",
    "InferenceSpec",
    "InitialWeights",
    "Intensities",
    "Judgement",
    "LabelEncoding",
    "LabelRule",
    "MachineProfile",
    "MirrorRule",
    "Model",
    "ModelCard",
    "NetworkSpec",
    "Normalization",
    "NotJudged",
    "OutlineEncoding",
    "Parity",
    "ParitySetting",
    "Part",
    "Plan",
    "PostprocessingStep",
    "PredictedCase",
    "Predictions",
    "Preparation",
    "Record",
    "RememberedParity",
    "ResamplingRule",
    "Scores",
    "Selection",
    "SelectionReport",
    "Shape",
    "Spacing",
    "Splits",
    "StartingWeights",
    "Structure",
    "StructureDiagnosis",
    "StructureFacts",
    "StructureScores",
    "StructureSize",
    "Summary",
    "Throughput",
    "TrainedConfiguration",
    "TrainedFold",
    "TrainingSpec",
    "Transfer",
    "ValidationFigures",
    "ValueEncoding",
    "WindowRule",
    "write_text",
]
