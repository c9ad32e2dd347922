"""From a file of bars to rows: recognise, read, check, merge, remember what came.

One transaction a chunk. The batch row counts what is done, so a load that was cut off goes on after its last whole
chunk: the chunks before are read and checked again, for what the gate remembers of them, but not written. While the
server takes one chunk, a second thread reads and checks the next.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from core.clock import now, today_in_new_york
from core.errors import InputError, Refused
from core.progress import Progress
from database.queries.bars import (
    BAR_TYPES,
    advance_batch,
    fail_batch,
    find_batch,
    finish_batch,
    last_bars,
    merge_bars,
    quarantine_counts,
    quarantine_rows,
    raise_vintages,
    read_closes,
    symbols_with_bars,
    take_batch,
)
from database.queries.corporate_actions import replace_dividends
from database.queries.instruments import add_symbols, ids_by_symbol
from database.session import Session, transaction
from market_data.calendars import all_sessions
from market_data.dividends import DividendStream, implied_dividends
from market_data.files import Chunk, content_hash, count_rows, read_chunks, read_header, read_whole
from market_data.gate import Checked, Gate
from market_data.quality import CONTEXT_SESSIONS, REFUSED_SCHEMA, Reason
from market_data.vendor import Vendor, parse
from market_data.vendors import recognise

DIVIDEND_SOURCE = "implied"
NO_YEAR = 0
_WHOLE_FILE_ROWS_MAX = 100_000
_INSTRUMENTS_AT_ONCE = 200


@dataclass(frozen=True)
class FileImport:
    """What became of one file. rows_read = inserted + changed + unchanged + quarantined, whatever happened between.

    `already_loaded`: the same content came before, nothing was read again; the counts are those of that time.
    """

    file: str
    source: str
    batch_id: int
    already_loaded: bool
    rows_read: int
    rows_inserted: int
    rows_changed: int
    rows_unchanged: int
    rows_quarantined: int
    quarantined_by_reason: dict[str, int]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Layout:
    path: Path
    vendor: Vendor
    matched: dict[str, str]
    symbol: str | None
    symbol_from_name: bool = False

    @property
    def notes(self) -> tuple[str, ...]:
        said = []
        if self.symbol_from_name:
            said.append(f"the file has no symbol column: its name {self.path.stem!r} stands for it")
        if "adj_close" not in self.matched:
            said.append("no adjusted close in the file: the close stands in, dividends are not known")
        if not self.vendor.capabilities.split_adjusted and "split_coefficient" not in self.matched:
            said.append("prices are as traded and the file has no split coefficients: splits show as jumps")
        return tuple(said)


def _layout(path: Path, *, symbol: str | None, source: str | None) -> _Layout:
    vendor, matched = recognise(read_header(path), file_name=path.name, source=source)
    if "symbol" in matched:
        if symbol is not None:
            raise InputError(f"{path.name} has a column {matched['symbol']!r}: leave the symbol {symbol!r} out")
        return _Layout(path, vendor, matched, None)
    return _Layout(path, vendor, matched, symbol or path.stem, symbol_from_name=symbol is None)


def _chunks(layout: _Layout) -> Iterator[Chunk]:
    columns = list(layout.matched.values())
    if layout.vendor.capabilities.whole_file:
        yield read_whole(layout.path, columns, rows_max=_WHOLE_FILE_ROWS_MAX)
    else:
        yield from read_chunks(layout.path, columns)


def _checked_chunks(layout: _Layout, gate: Gate, dividends: DividendStream) -> Iterator[tuple[Chunk, Checked]]:
    for chunk in _chunks(layout):
        rows = parse(layout.vendor, chunk.rows, layout.matched, symbol=layout.symbol)
        newcomers = gate.newcomers(rows)
        if newcomers:
            with transaction() as session:
                gate.remember(last_bars(session, before=newcomers, sessions=CONTEXT_SESSIONS))
                dividends.set_aside |= symbols_with_bars(session, symbols=list(newcomers))
        checked = gate.check(rows)
        dividends.take(checked.good)
        yield chunk, checked


def _ahead(items: Iterator[tuple[Chunk, Checked]]) -> Iterator[tuple[Chunk, Checked]]:
    """The same items, each made in a second thread while the one before is used."""
    with ThreadPoolExecutor(max_workers=1) as worker:
        following = worker.submit(next, items, None)
        while (item := following.result()) is not None:
            following = worker.submit(next, items, None)
            yield item


def _plain(value: object) -> str | None:
    return None if value is None else str(value).replace("\x00", "\ufffd")


def _quarantine(chunk: Chunk, checked: Checked, batch_id: int) -> list[dict[str, Any]]:
    """Refused and malformed rows as rows of the quarantine table, each with what came."""
    malformed = chunk.malformed.select(
        "row_number",
        pl.lit(None, pl.String).alias("symbol"),
        pl.lit(None, pl.Date).alias("session_on"),
        pl.lit(Reason.MALFORMED_ROW.value).alias("reason"),
        "detail",
    )
    refused = pl.concat([checked.refused.select(REFUSED_SCHEMA.keys()), malformed]).sort("row_number")
    if refused.is_empty():
        return []
    came = chunk.rows.filter(pl.col("row_number").is_in(checked.refused["row_number"].implode())).to_dicts()
    raw = {row.pop("row_number"): {name: _plain(value) for name, value in row.items()} for row in came}
    raw |= {number: {"line": _plain(text)} for number, text, _ in chunk.malformed.iter_rows()}
    return [
        {
            "batch_id": batch_id,
            "row_number": row["row_number"],
            "symbol": (_plain(row["symbol"]) or "")[:64] or None,
            "session_on": _plain(row["session_on"]),
            "reason": row["reason"],
            "detail": _plain(row["detail"]),
            "row": raw[row["row_number"]],
        }
        for row in refused.to_dicts()
    ]


def instrument_ids(session: Session, symbols: list[str]) -> dict[str, int]:
    """Ids by symbol; symbols that are new become instruments, stocks by assumption."""
    known = ids_by_symbol(session, symbols=symbols)
    if len(known) < len(symbols):
        add_symbols(session, symbols=[symbol for symbol in symbols if symbol not in known], kind="stock")
        raise_vintages(session, dataset="instruments", years={NO_YEAR})
        known = ids_by_symbol(session, symbols=symbols)
    return known


def _write(layout: _Layout, digest: str, chunk: Chunk, checked: Checked, *, done: int) -> None:
    """Write one chunk that comes after `done` rows, where that has not been done yet."""
    with transaction() as session:
        batch = take_batch(session, source=layout.vendor.name, file_name=layout.path.name, content_sha256=digest)
        if done + chunk.size <= batch.rows_read:
            return
        if batch.rows_read != done:
            raise Refused(f"{layout.path.name} is being imported by another process; wait for it")
        ids = instrument_ids(session, checked.good["symbol"].unique().to_list())
        good = checked.good.with_columns(
            instrument_id=pl.col("symbol").replace_strict(ids, default=None, return_dtype=pl.Int32)
        )
        merged = merge_bars(session, {name: good[name].to_numpy() for name in BAR_TYPES}, batch_id=batch.batch_id)
        refused = _quarantine(chunk, checked, batch.batch_id)
        quarantine_rows(session, refused)
        advance_batch(session, batch, read=chunk.size, merged=merged, quarantined=len(refused))


def _store_dividends(session: Session, stream: DividendStream) -> None:
    """Those of new instruments as they came by; those of the others from all their stored bars."""
    ids = ids_by_symbol(session, symbols=stream.symbols())
    named = stream.dividends()
    rows = named.with_columns(pl.col("symbol").replace_strict(ids, default=None, return_dtype=pl.Int32)).rows()
    new = [number for symbol, number in ids.items() if symbol not in stream.set_aside]
    years = replace_dividends(session, rows, instrument_ids=new, source=DIVIDEND_SOURCE)
    others = sorted(ids[symbol] for symbol in stream.symbols() & stream.set_aside)
    for start in range(0, len(others), _INSTRUMENTS_AT_ONCE):
        some = others[start : start + _INSTRUMENTS_AT_ONCE]
        rows = implied_dividends(read_closes(some)).rows()
        years |= replace_dividends(session, rows, instrument_ids=some, source=DIVIDEND_SOURCE)
    raise_vintages(session, dataset="corporate_actions", years=years)


def import_file(path: Path, *, symbol: str | None, source: str | None, progress: Progress) -> FileImport:
    """Bring one file in; see `market_data.service.import_files`."""
    layout = _layout(path, symbol=symbol, source=source)
    digest = content_hash(path, salt=layout.symbol or "")
    with transaction() as session:
        batch = find_batch(session, source=layout.vendor.name, content_sha256=digest)
        already_loaded = batch is not None and batch.status == "loaded"
    if not already_loaded:
        try:
            _load(layout, digest, progress)
        except InputError:
            with transaction() as session:
                fail_batch(session, source=layout.vendor.name, content_sha256=digest)
            raise
    with transaction() as session:
        batch = find_batch(session, source=layout.vendor.name, content_sha256=digest)
        assert batch is not None
        return FileImport(
            file=path.name,
            source=layout.vendor.name,
            batch_id=batch.batch_id,
            already_loaded=already_loaded,
            rows_read=batch.rows_read,
            rows_inserted=batch.rows_inserted,
            rows_changed=batch.rows_changed,
            rows_unchanged=batch.rows_unchanged,
            rows_quarantined=batch.rows_quarantined,
            quarantined_by_reason=quarantine_counts(session, batch_id=batch.batch_id),
            notes=layout.notes,
        )


def _load(layout: _Layout, digest: str, progress: Progress) -> None:
    gate = Gate(np.array(all_sessions(), dtype="datetime64[D]"), today_in_new_york())
    dividends = DividendStream()
    total, done = count_rows(layout.path), 0
    step = f"bars of {layout.path.name}"
    progress(step, 0, total)
    for chunk, checked in _ahead(_checked_chunks(layout, gate, dividends)):
        _write(layout, digest, chunk, checked, done=done)
        done += chunk.size
        progress(step, done, max(total, done))
    if done == 0:
        raise InputError(f"{layout.path.name}: no rows")
    with transaction() as session:
        batch = take_batch(session, source=layout.vendor.name, file_name=layout.path.name, content_sha256=digest)
        if batch.rows_inserted + batch.rows_changed:
            _store_dividends(session, dividends)
        finish_batch(session, batch, at=now())
    progress(step, done, done)
