"""The law forms of a study's scorers: which there are, and which the study does not list itself."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from geobench.contracts.scorer import Scorer
from geobench.errors import GeobenchError
from geobench.registry import Registry
from geobench_catalog import Entry


@dataclass(frozen=True, init=False)
class Forms:
    """Law forms (`Scorer.law_form`) of scorers, in their order; None: there is none."""

    forms: Sequence[Scorer | None]
    added: Sequence[Scorer]
    """Those that are none of the scorers, each once."""
    indices: Sequence[int | None]
    """Index of each form among the scorers and the added ones after them."""

    def __init__(self, scorers: Sequence[Scorer], registry: Registry) -> None:
        forms = [form_of(scorer, registry) for scorer in scorers]
        known = [_identity(scorer) for scorer in scorers]
        added = []
        for form in forms:
            if form and _identity(form) not in known:
                known.append(_identity(form))
                added.append(form)
        indices = [known.index(_identity(form)) if form else None for form in forms]
        for name, value in (("forms", forms), ("added", added), ("indices", indices)):
            object.__setattr__(self, name, value)

    def of(self, scores: Sequence[Entry | None]) -> Mapping[int, Entry]:
        """Scores by law forms, by index of the scorer, where there is one."""
        return {
            index: entry
            for index, form in enumerate(self.indices)
            if form is not None and (entry := scores[form] if form < len(scores) else None)
        }


def form_of(scorer: Scorer, registry: Registry) -> Scorer | None:
    """Build the law form of a scorer; refuse one from which no excess can be read."""
    named = scorer.law_form()
    if named is None:
        return None
    form = registry.scorer(named.recipe() if isinstance(named, Scorer) else named)
    if not (scorer.fair and form.fair and form.needs_law and form.better == "lower"):
        raise GeobenchError(
            f"the scorer {scorer.name} names {form.name} as its law form, and a law form is fair, "
            f"needs the law, and is better the lower, as is an excess. Name another, or None."
        )
    return form


def _identity(scorer: Scorer) -> str:
    return json.dumps(scorer.recipe(), sort_keys=True)
