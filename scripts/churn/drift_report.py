"""The drift report's page: what was compared and found, in words, above Evidently's own; the same bytes every time."""

import html
import json
import re

# Evidently draws its ids at random: UUIDs of version 7, and the name of the page's data. (The UUIDs that belong to its
# JavaScript are of other versions.)
RANDOM_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}|metric_[0-9a-f]{32}")
DATA_LINE = re.compile(r"^( *var \w+ = )(\{.*\})(;)$", re.MULTILINE)
STYLE = "<style>.drift-summary {font: 16px/1.5 sans-serif; max-width: 60em; margin: 1.5em auto; padding: 0 1em}</style>"


def stabilise(page: str) -> str:
    """Number Evidently's random ids by their order, and round its floats to 6 digits, which every processor agrees on.

    Parameters
    ----------
    page : str
        HTML of an Evidently report.

    Returns
    -------
    str
        The same page, equal for equal data.
    """
    ids: dict[str, str] = {}
    page = RANDOM_ID.sub(lambda found: ids.setdefault(found[0], f"drift_{len(ids)}"), page)
    return DATA_LINE.sub(lambda found: found[1] + json.dumps(_rounded(json.loads(found[2]))) + found[3], page)


def summarise(metrics: dict) -> list[str]:
    """Say in sentences what detect_drift.json says."""
    drop, earlier = metrics["current_drop"], metrics["reference_drops"]
    sentences = [f"Drop {drop}: {metrics['current_rows']:,} users."]
    if earlier:
        span = earlier[0] if len(earlier) == 1 else f"the {len(earlier)} drops from {earlier[0]} to {earlier[-1]}"
        sentences.append(f"Compared with {span}: {metrics['reference_rows']:,} rows.")
    if "reason" in metrics:
        sentences.append(f"Drift was not measured: {metrics['reason']}")
    else:
        sentences.append(_verdict(metrics))
    left_out: dict[str, list[str]] = {}
    for name, why in metrics["columns_left_out"].items():
        left_out.setdefault(why, []).append(name)
    return sentences + [f"Left out, {why}: {', '.join(names)}." for why, names in left_out.items()]


def build_page(metrics: dict, evidently_page: str | None) -> str:
    """Put the summary on top of Evidently's page, or make a page of it alone."""
    title = f"<title>Drift of {metrics['current_drop']}</title>"
    body = "".join(f"<p>{html.escape(sentence)}</p>\n" for sentence in summarise(metrics))
    summary = f'<section class="drift-summary">\n<h1>Drift of {metrics["current_drop"]}</h1>\n{body}</section>\n'
    if evidently_page is None:
        head = f'<head>\n<meta charset="UTF-8">\n{title}\n{STYLE}\n</head>'
        return f'<!DOCTYPE html>\n<html lang="en">\n{head}\n<body>\n{summary}</body>\n</html>\n'
    head, body_tag, rest = stabilise(evidently_page).strip().partition("<body>")
    return f"{head.replace('</head>', f'{title}{STYLE}</head>')}{body_tag}\n{summary}{rest}\n"


def _verdict(metrics: dict) -> str:
    columns, share, limit = metrics["columns"], metrics["drift_share"], metrics["drift_share_threshold"]
    drifted = [f"{name} ({columns[name]['statistic']:.3f})" for name in metrics["drifted_columns"]]
    found = f"{len(drifted)} of {len(columns)} columns drifted{': ' if drifted else ''}{', '.join(drifted)}."
    if metrics["drift_detected"]:
        return f"{found} Their share, {share:.3f}, reaches {limit:g}: drift is detected."
    return f"{found} Their share, {share:.3f}, is below {limit:g}: no drift of the whole."


def _rounded(content: object) -> object:
    if isinstance(content, float):
        return float(f"{content:.6g}")
    if isinstance(content, dict):
        return {key: _rounded(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_rounded(value) for value in content]
    return content
