"""The look of the dashboard: its style sheet, numbers on cards, and facts in rows. Everything fits on a phone."""

import html
from dataclasses import dataclass

import streamlit as st

# Towards churn, away from churn, neutral. The colours also work for red-green colour blindness.
UP, DOWN, QUIET = "#c2552d", "#1b6b72", "#8a97a0"
NOT_MEASURED = "not measured"

STYLE = """<style>
[data-testid="stMainBlockContainer"] {max-width: 1160px; padding: 2.25rem 1.5rem 4rem}
@media (max-width: 640px) {[data-testid="stMainBlockContainer"] {padding: 1.75rem 1rem 3rem}}
[data-testid="stMainBlockContainer"] p, [data-testid="stMainBlockContainer"] td {overflow-wrap: anywhere}
[data-testid="stHeader"] {background: transparent; height: 2rem; min-height: 2rem}
[data-testid="stMainMenu"], footer {display: none}
.st-key-menu {border-bottom: 1px solid #dde3e6; padding-bottom: 6px}
.cards {display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px}
.card {border: 1px solid #dde3e6; border-radius: 8px; padding: 14px 16px; background: #fff}
.card .name {font-size: .82rem; color: #5b6872}
.card .value {font-size: 1.6rem; font-weight: 650; line-height: 1.35; font-variant-numeric: tabular-nums}
.card .value.words {font-size: 1.15rem; line-height: 1.9}
.card .note {font-size: .8rem; color: #5b6872}
@media (max-width: 640px) {
  .card:last-child:nth-child(odd) {grid-column: 1 / -1}
  .st-key-filters > div {flex: 1 1 100% !important; width: 100% !important}
  .st-key-filters > div > div, .st-key-filters [data-testid] {width: 100% !important}
}
.facts {display: grid; grid-template-columns: minmax(90px, 140px) 1fr; gap: 6px 16px; margin: 0; font-size: .95rem}
.facts div {overflow-wrap: anywhere} .facts .name {color: #5b6872}
.facts code {font-size: .88em; background: #f4f6f7; padding: 1px 5px; border-radius: 4px}
</style>"""


@dataclass(frozen=True)
class Card:
    """A number to show: its name, its value as text, and a note below it."""

    name: str
    value: str
    note: str = ""


def set_style() -> None:
    """Add the style sheet to the page."""
    st.html(STYLE)


def show_cards(*cards: Card) -> None:
    """Show cards side by side, as many as fit."""
    st.html(f'<div class="cards">{"".join(map(_draw, cards))}</div>')


def show_facts(facts: dict[str, str]) -> None:
    """Show names and values in rows; text in `backticks` is formatted as code."""
    rows = "".join(
        f'<div class="name">{html.escape(name)}</div><div>{_mark_code(value)}</div>' for name, value in facts.items()
    )
    st.html(f'<div class="facts">{rows}</div>')


def format_number(value: float | None, form: str = ".4f") -> str:
    """Return a number as text, or "not measured" for None."""
    return NOT_MEASURED if value is None else format(value, form)


def _draw(card: Card) -> str:
    words = "" if any(sign.isdigit() for sign in card.value) else " words"
    name, value, note = (html.escape(text) for text in (card.name, card.value, card.note))
    parts = (f'<div class="name">{name}</div>', f'<div class="value{words}">{value}</div>')
    return f'<div class="card">{"".join(parts)}<div class="note">{note}</div></div>'


def _mark_code(text: str) -> str:
    parts = html.escape(text).split("`")
    return "".join(f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts))
