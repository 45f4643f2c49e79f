"""Tables in the forms that others read: Markdown, LaTeX, HTML, plain text."""

from collections.abc import Callable, Sequence
from typing import Literal, get_args

from polyreel.evaluation.markup import tag, words
from polyreel.evaluation.tables import Table

Format = Literal["md", "latex", "html", "text"]
FORMATS: tuple[Format, ...] = get_args(Format)
_LATEX = str.maketrans(
    {
        "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
        "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}", "→": r"$\to$", "−": "$-$",
    }
)  # fmt: skip


def laid_out(table: Table, form: Format) -> str:
    """Return a table in one of the forms."""
    layouts: dict[Format, Callable[[Table], str]] = {
        "md": Table.markdown, "text": Table.text, "latex": latex_table, "html": html_table,
    }  # fmt: skip
    return layouts[form](table)


def latex_table(table: Table) -> str:
    """Lay a table out for LaTeX, with the rules of the package booktabs."""
    rows = [" & ".join(cell.translate(_LATEX) for cell in row) + r" \\" for row in (table.header, *table.rows)]
    lines = [
        r"\begin{table}",
        rf"\caption{{{table.title.translate(_LATEX)}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(table.header) - 1)}}}",
        r"\toprule",
        rows[0],
        r"\midrule",
        *rows[1:],
        r"\bottomrule",
        r"\end{tabular}",
        *([rf"\\ {{\footnotesize {table.note.translate(_LATEX)}}}"] if table.note else []),
        r"\end{table}",
    ]
    return "\n".join(lines)


def html_table(table: Table) -> str:
    """Lay a table out as HTML, in a box that scrolls sideways where the page is narrow."""
    head = tag("tr", *(tag("th", words(cell), scope="col") for cell in table.header))
    rows = [
        tag("tr", tag("th", words(row[0]), scope="row"), *(tag("td", words(cell)) for cell in row[1:]))
        for row in table.rows
    ]
    inner = tag("table", tag("caption", words(table.title)), tag("thead", head), tag("tbody", *rows))
    note = tag("p", words(table.note), class_="soft") if table.note else ""
    return tag("div", inner, class_="scroll", tabindex="0", role="region", aria_label=table.title) + note


def folded_tables(name: str, tables: Sequence[Table]) -> str:
    """Return tables under a heading that opens them."""
    return tag("details", tag("summary", words(name)), *map(html_table, tables))
