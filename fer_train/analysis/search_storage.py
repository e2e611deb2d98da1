"""Where the processes of one search meet: a journal in its folder, or a database that all of them can reach."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import sqlalchemy.exc
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from fer_prep.errors import InstallationError, UsageError

JOURNAL: Final = "study.journal"
LOCK_GRACE_S: Final = 30
"""A lock of the journal that is this old was left by a killed process: appending takes milliseconds."""
_LOOKS: Final = 4
_BETWEEN_LOOKS_S: Final = 0.25
_NO_SQLITE: Final = "leave --storage out: the journal in --out serves several processes, and machines that share a disk"


def open_storage(out: Path, *, url: str = "") -> BaseStorage:
    """The storage of the search in ``out``: the database at ``url`` where one is given, else the journal.

    The journal works on file systems that several machines share. Its lock is a file made by ``open(O_EXCL)``, safe on
    NFS from version 3 on. Optuna's default, a symbolic link, is not used: seen from a folder or machine with another
    path it points nowhere, and Optuna then never notices that a killed process has left it.
    """
    if not url:
        out.mkdir(parents=True, exist_ok=True)
        path = str(out / JOURNAL)
        return JournalStorage(JournalFileBackend(path, lock_obj=JournalFileOpenLock(path, grace_period=LOCK_GRACE_S)))
    try:
        parsed = sqlalchemy.make_url(url)
        if parsed.get_backend_name() == "sqlite":
            raise UsageError("--storage sqlite: its locks do not hold for processes side by side", hint=_NO_SQLITE)
        return _database(url)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        # not shown: it may hold a password, and what is no URL cannot be searched for one
        raise UsageError(
            "--storage is no database URL", hint="expected such as postgresql+psycopg://user@host/database"
        ) from None
    except ImportError as error:
        missing = error.__cause__ if isinstance(error.__cause__, ImportError) else error
        raise InstallationError(
            f"--storage needs the Python package {missing.name or 'of this database'}, which is not installed",
            hint="pip install 'fer-rgbd[database]', and begin the URL with postgresql+psycopg://",
        ) from None
    except sqlalchemy.exc.SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        password = sqlalchemy.make_url(url).password
        if password:
            reason = reason.replace(str(password), "***")
        raise UsageError(f"the database of --storage cannot be used: {reason}") from None


def _database(url: str) -> RDBStorage:
    """Optuna's storage in a database; the first process of a search makes its tables.

    Where several come at once all of them try, and the database lets one through: the others look again.
    """
    for _ in range(_LOOKS):
        with suppress(sqlalchemy.exc.IntegrityError, sqlalchemy.exc.ProgrammingError):
            return _connected(url)
        time.sleep(_BETWEEN_LOOKS_S)
    return _connected(url)


def _connected(url: str) -> RDBStorage:
    # connections are looked at before use: databases drop those that were idle during a long trial
    return RDBStorage(url, engine_kwargs={"pool_pre_ping": True})
