"""Figures of evaluations and trainings, and the tables beside them."""

from rockmonai.report.box_plots import box_plots
from rockmonai.report.difference_panels import difference_panels
from rockmonai.report.discriminator_course import discriminator_course
from rockmonai.report.evaluation import Evaluation, read_evaluation
from rockmonai.report.figures import write_figures
from rockmonai.report.spectra import spectra
from rockmonai.report.tables import as_text, tables_of

__all__ = [
    "Evaluation",
    "as_text",
    "box_plots",
    "difference_panels",
    "discriminator_course",
    "read_evaluation",
    "spectra",
    "tables_of",
    "write_figures",
]
