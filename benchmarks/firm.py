"""A firm to measure on: advisors, clients, and a year of monthly trades that the books agree with; made by SQL, exact.

Every account buys ten stocks a month and sells, three months later, four of those lots; on the last session it has five
open proposals. Nothing is random, so two runs measure the same rows.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
from sqlalchemy import text

from core.clock import now
from database.queries.bars import merge_bars
from database.session import Session
from market_data.calendars import sessions_between

FIRST_ON, LAST_ON = date(2016, 6, 1), date(2017, 6, 30)
STOCKS = 100
SECTORS = ("Technology", "Health Care", "Financials", "Energy", "Utilities")
STRATEGIES = ("momentum_largecap", "value_deep", "quality_growth")


@dataclass(frozen=True)
class SampleFirm:
    """Who is there: user ids by e-mail, and the newest session."""

    users: dict[str, int]
    last_on: date


def found_firm(session: Session, *, clients: int = 200, advisors: int = 20) -> SampleFirm:
    """Make the firm in an empty, migrated database."""
    numbers = {"clients": clients, "advisors": advisors, "stocks": STOCKS, "last_on": LAST_ON}
    for statement in (_PEOPLE, _STOCKS):
        _run(session, statement, numbers)
    sessions = sessions_between(FIRST_ON, LAST_ON)
    _load_bars(session, sessions)
    for statement in (_MARKET, _MODELS, _TARGETS, _TRADES, _BOOKS, _STANDINGS, _OPEN, _JOBS):
        _run(session, statement, {**numbers, "sessions": sessions, "now": now()})
    session.execute(text("analyze"))
    users = {email: user_id for user_id, email in session.execute(text("select user_id, email from users"))}
    return SampleFirm(users, LAST_ON)


def _run(session: Session, statements: str, numbers: dict[str, object]) -> None:
    for statement in statements.split(";\n"):
        if statement.strip():
            session.execute(text(statement), numbers)


def _load_bars(session: Session, sessions: list[date]) -> None:
    ids = np.arange(1, STOCKS + 1, dtype=np.int32)
    days = np.array(sessions, dtype="datetime64[D]")
    turn = np.arange(len(days))[None, :]
    close = (20.0 + ids[:, None]) * (1.0 + 0.0008 * turn + 0.05 * np.sin(turn / 9.0 + ids[:, None]))
    columns = {"open": close, "high": close * 1.01, "low": close * 0.99, "close": close, "adj_close": close}
    merge_bars(
        session,
        {
            "instrument_id": np.repeat(ids, len(days)),
            "session_on": np.tile(days, len(ids)),
            **{name: values.ravel() for name, values in columns.items()},
            "volume": np.full(close.size, 1_000_000),
        },
        batch_id=1,
    )


_PEOPLE = """
insert into users (email, name, role)
select role || '@firm.example', initcap(role), role from unnest(array['admin', 'analyst', 'viewer', 'service']) as role
union all
select 'advisor' || n || '@firm.example', 'Advisor ' || n, 'advisor' from generate_series(1, :advisors) as n;
insert into households (name) select 'Household ' || lpad(n::text, 4, '0') from generate_series(1, :clients) as n;
insert into clients (household_id, name, email, risk_tolerance)
select household_id, 'Client ' || lpad(household_id::text, 4, '0'), 'client' || household_id || '@home.example',
       (array['conservative', 'balanced', 'growth'])[1 + household_id % 3]
from households;
insert into advisor_assignments (advisor_id, client_id, start_on)
select u.user_id, c.client_id, date '2016-06-01' from clients c
join users u on u.email = 'advisor' || (1 + c.client_id % :advisors) || '@firm.example';
insert into accounts (client_id, name, kind, book, opened_on, initial_cash_usd)
select client_id, name || ', taxable', 'paper', 'paper', date '2016-06-01', 1000000 from clients;
insert into mandates (account_id, version, effective_on, cash_weight_min, position_weight_max, sector_weight_max,
                      drift_threshold, turnover_max, trade_usd_min)
select account_id, 1, opened_on, 0.02, 0.08, 0.40, 0.005, 2, 500 from accounts;
insert into restrictions (account_id, kind, value) select account_id, 'ticker', 'S007' from accounts
"""

_STOCKS = """
insert into import_batches (batch_id, source, file_name, content_sha256, status)
overriding system value values (1, 'benchmark', 'none', 'none', 'loaded');
insert into instruments (symbol, name, kind, sector)
select 'S' || lpad(n::text, 3, '0'), 'Company ' || n, 'stock',
       (array['Technology', 'Health Care', 'Financials', 'Energy', 'Utilities'])[1 + n % 5]
from generate_series(1, :stocks) as n
"""

_MARKET = """
insert into regimes (session_on, detector, label, raw_label, probabilities, drivers, detector_version, data_vintage)
select day, detector, (array['bull', 'sideways', 'low_volatility'])[1 + extract(month from day)::integer % 3], 'bull',
       '{"bull": 0.6, "bear": 0.1, "high_volatility": 0.1, "low_volatility": 0.1, "sideways": 0.1}',
       '{"trend": {"value": 0.4, "sentence": "Prices rise."}}', '1', '{}'
from unnest(cast(:sessions as date[])) as day, unnest(array['rules', 'hidden_markov']) as detector;
insert into universe_days (session_on, members, mean_return)
select day, :stocks, 0.0005 from unnest(cast(:sessions as date[])) as day;
insert into strategy_choices (session_on, strategy, regime, reason, evidence)
select day, 'momentum_largecap', 'bull', 'it has done best in such markets', '{}'
from unnest(cast(:sessions as date[])) as day;
insert into runs (job, as_of, book, status, steps, result, code_commit, finished_at)
select 'nightly', day, 'paper', 'succeeded', '{}', '{"clients": []}', 'benchmark', :now
from unnest(cast(:sessions as date[])) as day
"""

_MODELS = """
insert into model_versions (name, version, kind, strategy, algorithm, train_from_on, train_to_on, last_label_on,
                            valid_from_on, valid_to_on, input_hash, feature_hash, artefact_dir, artefact_sha256,
                            manifest, metrics, code_commit)
select kind || '-' || strategy, 1, kind, strategy, case kind when 'screener' then 'xgboost' else 'ppo' end,
       '2010-01-01', '2015-12-01', '2015-12-15', '2016-01-01', '2018-01-01', md5(strategy), md5(kind), 'none', 'none',
       '{}', '{}', 'benchmark'
from unnest(array['screener', 'allocator']) as kind,
     unnest(array['momentum_largecap', 'value_deep', 'quality_growth']) as strategy;
create temporary table months on commit drop as
select row_number() over (order by min(day)) - 1 as month, min(day) as day
from unnest(cast(:sessions as date[])) as day where day >= '2016-07-01' group by date_trunc('month', day);
insert into score_batches (session_on, strategy, source, source_reason, status, model_version_id, feature_hash,
                           data_vintage, universe_count, eligible_count, scored_count)
select day, v.strategy, 'model', 'it passed', 'scored', v.model_version_id, 'none', '{}', :stocks, :stocks, :stocks
from (select day from months union select cast(:last_on as date)) as days, model_versions v where kind = 'screener';
insert into scores (score_batch_id, instrument_id, rank, score, margin, base, contributions, reasons)
select b.score_batch_id, i.instrument_id, 1 + (i.instrument_id + b.score_batch_id) % :stocks, 0.5, 0.1, 0.0,
       array[0.1, 0.05], '[{"feature": "momentum_63", "value": 0.2, "contribution": 0.1, "text": "It has risen."}]'
from score_batches b, instruments i;
insert into allocations (session_on, strategy, allocator, reason, model_version_id, score_batch_id, regime, cash_weight,
                         diagnostics)
select b.session_on, b.strategy, 'ppo', 'it passed', v.model_version_id, b.score_batch_id, 'bull', 0.02, '{}'
from score_batches b join model_versions v on v.kind = 'allocator' and v.strategy = b.strategy;
insert into allocation_weights (allocation_id, instrument_id, weight)
select a.allocation_id, i.instrument_id, 0.049 from allocations a join instruments i on i.instrument_id % 5 = 0
"""

_TARGETS = """
insert into targets (account_id, session_on, strategy, reason, allocation_id, mandate_id, cash_weight, adjustments)
select m.account_id, a.session_on, a.strategy, 'the usual', a.allocation_id, m.mandate_id, 0.02, '[]'
from mandates m join allocations a on a.strategy = 'momentum_largecap';
insert into target_weights (target_id, instrument_id, weight)
select t.target_id, w.instrument_id, w.weight from targets t join allocation_weights w using (allocation_id)
"""

# A trade is (account, month, slot): slots 0 to 9 buy, 10 to 13 sell the lots that slots 0 to 3 bought three months ago.
_TRADES = """
create temporary table trades_made on commit drop as
select a.account_id, m.month, slot, m.day, case when slot < 10 then 'buy' else 'sell' end as side,
       1 + (a.account_id * 7 + bought * 3 + slot % 10 * 5) % :stocks as instrument_id,
       (10 + (a.account_id + bought + slot % 10) % 20)::numeric(20, 6) as quantity
from accounts a, months m, generate_series(0, 13) as slot,
     lateral (select case when slot < 10 then m.month else m.month - 3 end as bought) as b
where bought >= 0;
alter table trades_made add price numeric(18, 6);
update trades_made set price = round(b.close::numeric, 4) from daily_bars b
where b.instrument_id = trades_made.instrument_id and b.session_on = trades_made.day;
insert into recommendations (account_id, target_id, instrument_id, session_on, side, quantity, reference_price,
                             weight_before, weight_after, status, reason, decided_by, decided_at)
select m.account_id, t.target_id, m.instrument_id, m.day, m.side, m.quantity, m.price, 0.01, 0.02, 'approved',
       'closer to the target', 'advisor1@firm.example', m.day + time '21:30'
from trades_made m join targets t on t.account_id = m.account_id and t.session_on = m.day;
insert into pretrade_checks (recommendation_id, rule, passed, measured, allowed, reason)
select recommendation_id, rule, true, '0.02', '0.08', 'below the limit'
from recommendations, unnest(array['position_limit', 'cash_floor', 'restricted']) as rule;
insert into orders (client_order_id, account_id, recommendation_id, instrument_id, session_on, side, quantity,
                    filled_quantity, state, broker)
select md5(recommendation_id::text), account_id, recommendation_id, instrument_id, session_on, side, quantity, quantity,
       'filled', 'paper' from recommendations;
insert into order_events (order_id, at, from_state, to_state, evidence)
select order_id, session_on + time '21:30' + n * interval '1 second', (array[null, 'planned', 'intent', 'sending'])[n],
       (array['planned', 'intent', 'sending', 'filled'])[n], '{}' from orders, generate_series(1, 4) as n;
insert into fills (broker_fill_id, order_id, session_on, filled_at, quantity, market_price, price, commission_usd,
                   spread_cost_usd, impact_cost_usd)
select client_order_id || '-1', o.order_id, o.session_on, o.session_on + time '22:00', o.quantity, m.price, m.price, 0,
       0.10, 0.02
from orders o join trades_made m on m.account_id = o.account_id and m.day = o.session_on
                                and m.instrument_id = o.instrument_id
"""

_BOOKS = """
create temporary table lots_made on commit drop as
select b.account_id, b.instrument_id, b.day, b.quantity, b.price, round(b.quantity * b.price, 2) as cost_usd,
       s.day as sold_on, s.price as sold_at
from trades_made b left join trades_made s
     on s.side = 'sell' and s.account_id = b.account_id and s.month = b.month + 3 and s.slot = b.slot + 10
where b.side = 'buy';
insert into journal_entries (account_id, booked_on, kind, source_key, memo)
select account_id, opened_on, 'deposit', 'opening', 'opening deposit' from accounts
union all
select o.account_id, f.session_on, 'fill', f.broker_fill_id, o.side from fills f join orders o using (order_id);
insert into journal_lines (entry_id, line, ledger_account, amount_usd, instrument_id, quantity)
select e.entry_id, l.line, l.name, l.amount, null::integer, null::numeric from journal_entries e,
     (values (1, 'cash', 1000000.00), (2, 'capital', -1000000.00)) as l (line, name, amount) where e.kind = 'deposit'
union all
select e.entry_id, 1, 'cash', case o.side when 'buy' then -1 else 1 end * round(f.quantity * f.price, 2), null, null
from journal_entries e join fills f on f.broker_fill_id = e.source_key join orders o using (order_id)
union all
select e.entry_id, 2, 'securities', round(f.quantity * f.price, 2), o.instrument_id, f.quantity
from journal_entries e join fills f on f.broker_fill_id = e.source_key join orders o using (order_id)
where o.side = 'buy'
union all
select e.entry_id, 2, 'securities', -l.cost_usd, o.instrument_id, -f.quantity
from journal_entries e join fills f on f.broker_fill_id = e.source_key join orders o using (order_id)
join lots_made l on l.account_id = o.account_id and l.instrument_id = o.instrument_id and l.sold_on = o.session_on
where o.side = 'sell'
union all
select e.entry_id, 3, 'realised_gains', l.cost_usd - round(f.quantity * f.price, 2), o.instrument_id, null
from journal_entries e join fills f on f.broker_fill_id = e.source_key join orders o using (order_id)
join lots_made l on l.account_id = o.account_id and l.instrument_id = o.instrument_id and l.sold_on = o.session_on
where o.side = 'sell' and l.cost_usd <> round(f.quantity * f.price, 2);
insert into tax_lots (account_id, instrument_id, fill_id, opened_on, closed_on, quantity, remaining, cost_usd,
                      remaining_cost_usd)
select l.account_id, l.instrument_id, f.fill_id, l.day, l.sold_on, l.quantity,
       case when l.sold_on is null then l.quantity else 0 end, l.cost_usd,
       case when l.sold_on is null then l.cost_usd else 0 end
from lots_made l
join orders o on o.account_id = l.account_id and o.instrument_id = l.instrument_id and o.session_on = l.day
              and o.side = 'buy'
join fills f using (order_id);
insert into lot_closings (lot_id, fill_id, closed_on, quantity, cost_usd, proceeds_usd, gain_usd)
select t.lot_id, f.fill_id, t.closed_on, t.quantity, t.cost_usd, round(f.quantity * f.price, 2),
       round(f.quantity * f.price, 2) - t.cost_usd
from tax_lots t
join orders o on o.account_id = t.account_id and o.instrument_id = t.instrument_id and o.session_on = t.closed_on
              and o.side = 'sell'
join fills f using (order_id);
insert into positions (account_id, instrument_id, quantity, cost_usd)
select account_id, instrument_id, sum(remaining), sum(remaining_cost_usd) from tax_lots
where remaining > 0 group by account_id, instrument_id
"""

_STANDINGS = """
insert into account_valuations (account_id, session_on, cash_usd, securities_usd)
select a.account_id, day, 500000, 500000 + round((1000 * sin(extract(doy from day) / 20.0))::numeric, 2)
from accounts a, unnest(cast(:sessions as date[])) as day;
insert into account_standings (account_id, session_on, value_usd, cash_usd, day_change_usd, year_return, drift,
                               off_plan_count, health_score, changed_at)
select account_id, :last_on, 1000000, 500000, 100, 0.04, 0.01, account_id % 3, 70 + account_id % 20, :now from accounts
"""

_OPEN = """
insert into recommendations (account_id, target_id, instrument_id, session_on, side, quantity, reference_price,
                             weight_before, weight_after, status, reason)
select t.account_id, t.target_id, 1 + (t.account_id + slot * 11) % :stocks, t.session_on, 'buy', 5, 50, 0.01, 0.02,
       'proposed', 'closer to the target'
from targets t, generate_series(1, 5) as slot where t.session_on = cast(:last_on as date)
"""

_JOBS = """
insert into jobs (name, payload, status, requested_by, actor, account_id, is_private, attempt, percent, finished_at)
select 'nightly', '{}', 'succeeded', u.user_id, u.email, null, false, 1, 100, :now
from users u, generate_series(1, 20) as n;
insert into job_events (job_id, seq, at, kind, body)
select job_id, seq, :now, 'progress', '{"percent": 50, "step": "half"}' from jobs, generate_series(1, 4) as seq;
update jobs set event_count = 4;
insert into audit (at, actor, action, subject, subject_id)
select :now, 'advisor1@firm.example', 'look', 'client', c.client_id::text from clients c, generate_series(1, 5) as n
"""
