"""From plain values and figures to one self-contained page, report.md and the model card; asks no task what it is."""

from empirisk.report.card import model_card, text
from empirisk.report.page import build as page
from empirisk.report.page import look

__all__ = ["look", "model_card", "page", "text"]
