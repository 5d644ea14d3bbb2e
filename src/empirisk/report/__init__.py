"""From plain values and figures to one self-contained page, report.md and the model card; asks no task what it is."""

from empirisk.report.page import build as page
from empirisk.report.page import look, model_card, text

__all__ = ["look", "model_card", "page", "text"]
