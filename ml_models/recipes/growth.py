"""Companies whose sales and earnings grow faster than most.

Plain rule: sales and earnings growth, as S&P's style indices define growth (S&P Dow Jones Indices, "U.S. Style
Indices Methodology"); return on equity: Hou, Xue and Zhang (2015), "Digesting Anomalies", RFS 28(3). Lakonishok,
Shleifer and Vishny (1994), JF 49(5), find that growth alone has earned less, so the rule is a style and no promise.
"""

from ml_models.recipe import Keep, Recipe, RuleTerm

RECIPE = Recipe(
    strategy="growth_largecap",
    keeps=(
        Keep("sustainable_growth", "high", 0.7),
        # Known from the second report of a company on.
        Keep("sales_growth", "high", 0.7, optional=True),
        Keep("earnings_growth", "high", 0.8, optional=True),
    ),
    emphasis={"growth": 3.0, "quality": 2.0, "momentum": 2.0},
    rule=(RuleTerm("sales_growth", "high"), RuleTerm("earnings_growth", "high"), RuleTerm("return_on_equity", "high")),
)
