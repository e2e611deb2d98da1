"""What a check found: one record per finding, the same for raw trees, prepared folders, datasets and manifests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["ok", "note", "warning", "error"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of a check: ``what`` was looked at (``schema``, ``missing files`` …) and what came out."""

    severity: Severity
    what: str
    text: str
    items: tuple[str, ...] = ()
    """The files or sample ids concerned, all of them; a printed table shows the first few and the count."""


@dataclass
class CheckReport:
    """The findings about one path, in the order they were made."""

    path: str
    kind: str
    """``raw tree``, ``prepared folder``, ``dataset`` or ``fold manifest``."""
    findings: list[Finding] = field(default_factory=list[Finding])

    def add(self, severity: Severity, what: str, text: str, items: tuple[str, ...] = ()) -> None:
        """Append one finding."""
        self.findings.append(Finding(severity=severity, what=what, text=text, items=items))

    @property
    def failed(self) -> bool:
        """True when anything is wrong: the command then exits with code 1."""
        return any(finding.severity == "error" for finding in self.findings)
