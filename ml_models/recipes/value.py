"""Companies that are cheap for what they earn and own.

Plain rule: earnings yield: Basu (1977), JF 32(3); book to price: Fama and French (1992), JF 47(2); cash-flow yield:
Lakonishok, Shleifer and Vishny (1994), JF 49(5); enterprise multiple: Loughran and Wellman (2011), JFQA 46(6).
"""

from ml_models.recipe import Keep, Recipe, RuleTerm

RECIPE = Recipe(
    strategy="value_largecap",
    keeps=(Keep("earnings_yield", "high", 0.65), Keep("book_to_price", "high", 0.7)),
    emphasis={"value": 3.0, "quality": 2.0, "reversal": 1.5},
    rule=(
        RuleTerm("earnings_yield", "high"),
        RuleTerm("book_to_price", "high"),
        RuleTerm("cash_flow_yield", "high"),
        RuleTerm("ebit_to_enterprise_value", "high"),
    ),
)
