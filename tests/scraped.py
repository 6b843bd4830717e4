"""What Prometheus would read of a host's ``/metrics``."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families


class Samples(dict[tuple[str, frozenset[tuple[str, str]]], float]):
    """The values of all series, by name and labels."""

    def __init__(self, text: str) -> None:
        super().__init__()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                self[sample.name, frozenset(sample.labels.items())] = sample.value

    def of(self, name: str, **labels: str) -> float | None:
        """Return the value of one series of ours; None if there is none."""
        return self.get((f"trihook_{name}", frozenset(labels.items())))

    def labels_of(self, name: str) -> list[dict[str, str]]:
        """Return the labels of each series of a metric of ours."""
        return [dict(labels) for known, labels in self if known == f"trihook_{name}"]
