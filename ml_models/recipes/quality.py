"""Companies that earn much on their capital without owing much.

Plain rule: return on equity: Hou, Xue and Zhang (2015), RFS 28(3); gross profit to assets: Novy-Marx (2013), JFE
108(1); low leverage: Asness, Frazzini and Pedersen (2019), "Quality Minus Junk", Review of Accounting Studies 24(1);
low accruals: Sloan (1996), Accounting Review 71(3).
"""

from ml_models.recipe import Keep, Recipe, RuleTerm

RECIPE = Recipe(
    strategy="quality_largecap",
    keeps=(Keep("return_on_equity", "high", 0.6), Keep("leverage", "low", 0.75)),
    emphasis={"quality": 3.0, "growth": 1.5, "value": 1.5},
    rule=(
        RuleTerm("return_on_equity", "high"),
        RuleTerm("gross_profitability", "high"),
        RuleTerm("leverage", "low"),
        RuleTerm("accruals", "low"),
    ),
)
