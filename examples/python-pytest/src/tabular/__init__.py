"""Makes a Markdown table of CSV."""

from tabular.table import Alignment, TableError, markdown

__all__ = ["Alignment", "TableError", "markdown"]
