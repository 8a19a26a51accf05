"""The skill of scores in the index of a catalog: 0 is climatology, 1 the true distribution."""

import sqlite3
from typing import Any

_SCORES = """
SELECT e.dataset_reference, e.record ->> '$.recipe', e.entry, e.created, e.model = 'reference',
    max(f.key = 'summary.knows_law' AND f.value = 1),
    max(f.key = 'forecaster.model.use' AND f.value = 'climatology'),
    EXISTS (SELECT 1 FROM lineage x JOIN entries a ON a.entry = x.ancestor
        WHERE x.entry = e.entry AND a.kind != 'dataset' AND a.origin = 'imported')
    AND NOT EXISTS (SELECT 1 FROM entries d
        WHERE d.reference = e.dataset_reference AND d.origin = 'imported'),
    EXISTS (SELECT 1 FROM parents p WHERE p.entry = e.entry AND p.role = 'law')
FROM entries e JOIN lineage l ON l.entry = e.entry JOIN fields f ON f.entry = l.ancestor
    AND f.key IN ('summary.knows_law', 'forecaster.model.use')
WHERE e.kind = 'score' AND e.record ->> '$.summary.better' IN ('lower', 'higher')
GROUP BY e.entry
"""
"""Dataset, recipe, row, date, whether it is of a study's reference, of the law, of climatology,
whether it came in, and whether it is a distance from the law."""

_SKILL = """
UPDATE measures SET skill = (
    SELECT (b.value - measures.value) / nullif(b.value - t.value, 0)
    FROM measures t JOIN measures b ON b.part = t.part AND b.hours = t.hours
    WHERE t.entry = ? AND b.entry = ? AND t.part = measures.part AND t.hours = measures.hours)
WHERE entry = ?
"""

_SKILL_OF_DISTANCE = """
UPDATE measures SET skill = (
    SELECT (b.value - measures.value) / nullif(b.value, 0) FROM measures b
    WHERE b.entry = ? AND b.part = measures.part AND b.hours = measures.hours)
WHERE entry = ?
"""
"""Of scores that compare with draws of the law: the law itself has 0."""


def work_out(connection: sqlite3.Connection) -> None:
    """Work out the skill of every score: (climatology - score) / (climatology - law).

    Of several climatologies or forecasts of the law on a dataset the newest counts; a study's own
    reference (label "reference") before other forecasts of the law. What was made from an imported
    forecaster or forecast serves as neither, unless the dataset was imported, too.
    """
    connection.execute("UPDATE measures SET skill = NULL WHERE skill IS NOT NULL")
    cases: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for row in connection.execute(_SCORES):
        cases.setdefault(row[:2], []).append(row[2:])
    for scores in cases.values():
        eligible = [score for score in scores if not score[5]]
        law = max((s for s in eligible if s[3]), key=lambda s: (s[2], s[1]), default=None)
        base = max((s for s in eligible if s[4]), key=lambda s: s[1], default=None)
        if base and base[6]:
            pairs = [(base[0], score[0]) for score in scores]
            connection.executemany(_SKILL_OF_DISTANCE, pairs)
        elif law and base:
            connection.executemany(_SKILL, [(law[0], base[0], score[0]) for score in scores])
