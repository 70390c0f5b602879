"""Labels in the order in which a person should look at them: examined, ranked, drawn, and told on a page."""

from autoseg.stages.doctor.drawing import draw
from autoseg.stages.doctor.examination import Examinations, examine, ranked
from autoseg.stages.doctor.page import PAGE, save_csv, save_page

__all__ = ["PAGE", "Examinations", "draw", "examine", "ranked", "save_csv", "save_page"]
