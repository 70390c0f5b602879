"""Labels in the order in which a person should look at them: examined, ranked, drawn, and told on a page."""

from autoseg.stages.doctor.drawing import draw
from autoseg.stages.doctor.examination import Examinations, examine, ranked, reservations
from autoseg.stages.doctor.page import PAGE, page_of, save_csv

__all__ = ["PAGE", "Examinations", "draw", "examine", "page_of", "ranked", "reservations", "save_csv"]
