"""Stocks that have moved little over the last year.

Plain rule: low volatility: Ang, Hodrick, Xing and Zhang (2006), JF 61(1), and Blitz and van Vliet (2007), JPM 34(1);
low beta: Frazzini and Pedersen (2014), "Betting Against Beta", JFE 111(1).
"""

from ml_models.recipe import Keep, Recipe, RuleTerm

RECIPE = Recipe(
    strategy="low_volatility_largecap",
    keeps=(Keep("volatility_252", "low", 0.4),),
    emphasis={"risk": 3.0, "payout": 1.5, "liquidity": 1.5},
    rule=(RuleTerm("volatility_252", "low"), RuleTerm("beta_252", "low")),
)
