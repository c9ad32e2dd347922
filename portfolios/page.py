"""A report as one page of HTML that can be printed: no script, nothing from elsewhere, every text escaped."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from html import escape
from typing import Any

_STYLE = """
body{font:14px/1.45 system-ui,sans-serif;color:#1b1f24;max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.05rem;margin:2rem 0 .5rem;border-bottom:1px solid #c9ced6}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}caption{text-align:left;color:#57606a}
th,td{padding:.25rem .5rem;text-align:right;border-bottom:1px solid #e6e9ee}
th:first-child,td:first-child,td.words{text-align:left}
.quiet{color:#57606a}.lead{font-size:1.2rem}svg{width:100%;height:auto}
@media print{body{margin:0;max-width:none}h2{break-after:avoid}tr{break-inside:avoid}}
"""
_WIDTH, _HEIGHT = 720, 200
# Numbers are shorter than this, sentences longer.
_WORDS_FROM = 24
Row = Sequence[Any]


def write_page(content: Mapping[str, Any]) -> str:
    """The page of a report's content."""
    parts = [
        _head(content),
        _performance(content),
        _chart(content["series"]),
        _months(content["months"]),
        _holdings(content["portfolio"]),
        _slices("Allocation by sector", content["sectors"]),
        _slices("Allocation by strategy", content["strategies"]),
        _drift(content["drifts"]),
        _health(content["health"]),
        _trades(content),
        _list("Notes", [*content["notes"], *content["period"]["notes"], *content["risk"]["notes"]]),
        _list("Disclosures", content["disclosures"]),
    ]
    title = escape(f"Report for {content['client']}, {content['from_on']} to {content['to_on']}")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body>{''.join(parts)}</body></html>"
    )


def _head(content: Mapping[str, Any]) -> str:
    portfolio = content["portfolio"]
    partial = " (partial: holdings without a price are left out)" if portfolio["missing"] else ""
    accounts = ", ".join(str(one["account"]) for one in content["accounts"]) or "no open account"
    return (
        f"<h1>{escape(content['client'])}</h1>"
        f'<p class="quiet">{escape(content["household"])} · {escape(accounts)}<br>'
        f"{escape(content['from_on'])} to {escape(content['to_on'])} · prices of {escape(content['to_on'])}</p>"
        f'<p class="lead">Value {_usd(portfolio["value_usd"])}{partial}, cash {_usd(portfolio["cash_usd"])}</p>'
    )


def _performance(content: Mapping[str, Any]) -> str:
    rows = [
        (
            f"{name}, from {one['from_on'] or 'unknown'}",
            _percent(one["time_weighted"]),
            _percent(one["money_weighted"]),
            _percent(one["benchmark"]),
            _percent(one["equal_weight"]),
            _usd(one["gain_usd"]),
        )
        for name, one in (("This period", content["period"]), ("Since inception", content["inception"]))
    ]
    risk = content["risk"]
    fall = _percent(risk["drawdown_max"])
    told = f"Deepest fall since inception {fall}; volatility a year {_percent(risk['annual_volatility'])}."
    heads = ("", "Time-weighted", "Money-weighted", "S&P 500 (price)", "Equal weight", "Gain")
    return f"<h2>Performance</h2>{_table(heads, rows)}<p>{escape(told)}</p>"


def _chart(series: Mapping[str, Any]) -> str:
    lines = [("index", "#0b5cad", "portfolio"), ("benchmark", "#8a6d00", "S&P 500")]
    known = [level for name, _, _ in lines for level in series[name] if level is not None]
    if len(series["on"]) < 2 or not known:
        return ""
    low, high = min(known), max(known)
    span = (high - low) or 1.0
    step = _WIDTH / (len(series["on"]) - 1)
    drawn = []
    for name, colour, _ in lines:
        points = [
            f"{row * step:.1f},{_HEIGHT - 10 - (level - low) / span * (_HEIGHT - 20):.1f}"
            for row, level in enumerate(series[name])
            if level is not None
        ]
        dash = ' stroke-dasharray="5 3"' if name == "benchmark" else ""
        drawn.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.5"{dash} points="{" ".join(points)}"/>')
    told = f"Growth of one dollar from {series['on'][0]} to {series['on'][-1]}: portfolio solid, S&P 500 dashed."
    return (
        f'<figure><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(told)}">{"".join(drawn)}</svg>'
        f'<figcaption class="quiet">{escape(told)}</figcaption></figure>'
    )


def _months(months: Sequence[Mapping[str, Any]]) -> str:
    if not months:
        return ""
    rows = [
        (
            f"{one['year']}-{one['month']:02d}{' (part)' if one['is_partial'] else ''}",
            _percent(one["time_weighted"]),
            _percent(one["benchmark"]),
        )
        for one in months
    ]
    return f"<h2>Months</h2>{_table(('Month', 'Time-weighted', 'S&P 500 (price)'), rows)}"


def _holdings(portfolio: Mapping[str, Any]) -> str:
    rows = [
        (
            f"{one['symbol']}, {one['name']}",
            _shares(one["quantity"]),
            f"{_usd(one['price'])}{'*' if one['is_stale'] else ''}",
            _usd(one["value_usd"]),
            _percent(one["weight"]),
            _percent(one["target_weight"]),
            _usd(one["gain_usd"]),
        )
        for one in portfolio["holdings"]
    ]
    rows.append(("Cash", "", "", _usd(portfolio["cash_usd"]), _percent(portfolio["cash_weight"]), "", ""))
    heads = ("Holding", "Shares", "Price", "Value", "Weight", "Target", "Unrealised gain")
    stale = '<p class="quiet">* older than the market\'s newest session</p>' if portfolio["stale"] else ""
    return f"<h2>Holdings</h2>{_table(heads, rows)}{stale}"


def _slices(title: str, slices: Iterable[Mapping[str, Any]]) -> str:
    rows = [
        (one["name"], _usd(one["value_usd"]), _percent(one["weight"]), _percent(one["target_weight"])) for one in slices
    ]
    return f"<h2>{title}</h2>{_table(('', 'Value', 'Weight', 'Target'), rows)}"


def _drift(drifts: Iterable[Mapping[str, Any]]) -> str:
    rows = [
        (
            one["account"],
            _percent(one["total"]),
            "unknown" if one["off_count"] is None else one["off_count"],
            len(one["trades"]),
            one["why"] or "",
        )
        for one in drifts
    ]
    return f"<h2>Drift from target</h2>{_table(('Account', 'Drift', 'Holdings off', 'Trades', ''), rows)}"


def _health(health: Mapping[str, Any]) -> str:
    score = "unknown" if health["score"] is None else f"{health['score']:.1f} of 100"
    rows = [
        (one["name"], "unknown" if one["score"] is None else f"{one['score']:.0f}", f"{one['weight']}", one["sentence"])
        for one in health["components"]
    ]
    why = f"<p>{escape(health['why'])}</p>" if health["why"] else ""
    steps = [f"{one['text']} (+{one['points']:.1f} points)" for one in health["steps"]]
    table = _table(("Component", "Score", "Weight", ""), rows)
    return f'<h2>Health</h2><p class="lead">{score}</p>{why}{table}{_list("What would improve it", steps)}'


def _trades(content: Mapping[str, Any]) -> str:
    rows = [
        (
            f"{one['session_on']} {one['side']} {one['symbol']}",
            _shares(one["quantity"]),
            _usd(one["price"]),
            _usd(one["amount_usd"]),
            _usd(one["commission_usd"]),
        )
        for one in content["trades"]
    ]
    costs = content["costs"]
    flows = [(f"{one['booked_on']} {one['kind']}", _usd(one["amount_usd"])) for one in content["flows"]]
    fees = [
        ("Commissions", _usd(costs["commissions_usd"])),
        ("Spread, in the prices", _usd(costs["spread_usd"])),
        ("Market impact, in the prices", _usd(costs["impact_usd"])),
        ("Dividends received", _usd(content["dividends_usd"])),
    ]
    traded = _table(("Trade", "Shares", "Price", "Amount", "Commission"), rows) if rows else "<p>None.</p>"
    moved = f"<h2>Deposits and withdrawals</h2>{_table(('Day', 'Amount'), flows)}" if flows else ""
    return f"<h2>Trades</h2>{traded}<h2>Costs and income</h2>{_table(('', 'USD'), fees)}{moved}"


def _list(title: str, lines: Sequence[str]) -> str:
    if not lines:
        return ""
    return f"<h2>{title}</h2><ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def _table(heads: Row, rows: Iterable[Row]) -> str:
    head = "".join(f'<th scope="col">{escape(str(cell))}</th>' for cell in heads)
    body = "".join(f"<tr>{''.join(_cell(str(cell)) for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(content: str) -> str:
    words = ' class="words"' if len(content) >= _WORDS_FROM else ""
    return f"<td{words}>{escape(content)}</td>"


def _usd(value: Any) -> str:
    return "unknown" if value is None else f"{Decimal(str(value)):,.2f} USD"


def _percent(value: Any) -> str:
    return "unknown" if value is None else f"{Decimal(str(value)) * 100:.2f} %"


def _shares(value: Any) -> str:
    return f"{Decimal(str(value)).normalize():,f}"
