"""What would hurt later in a data set, found before training: every case read once, checked alone and against the set."""

from autoseg.stages.check.examination import examine, look_at_cases, report_of, set_of, unused_in

__all__ = ["examine", "look_at_cases", "report_of", "set_of", "unused_in"]
