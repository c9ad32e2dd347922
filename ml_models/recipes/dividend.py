"""Companies that pay high dividends and can keep paying them.

Plain rule: dividend yield: Litzenberger and Ramaswamy (1979), JFE 7(2); own shares bought back: Boudoukh, Michaely,
Richardson and Roberts (2007), "On the Importance of Measuring Payout Yield", JF 62(2); return on equity: Hou, Xue and
Zhang (2015), RFS 28(3); low volatility: Ang, Hodrick, Xing and Zhang (2006), JF 61(1).
"""

from ml_models.recipe import Keep, Recipe, RuleTerm

RECIPE = Recipe(
    strategy="dividend_largecap",
    keeps=(Keep("dividend_yield_252", "high", 0.4),),
    emphasis={"payout": 3.0, "quality": 2.0, "risk": 1.5},
    rule=(
        RuleTerm("dividend_yield_252", "high"),
        RuleTerm("buyback_yield", "high"),
        RuleTerm("return_on_equity", "high"),
        RuleTerm("volatility_252", "low"),
    ),
)
