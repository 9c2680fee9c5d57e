"""What handlers are given besides the request: how the application's parts are named in their signatures."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from litestar.di import NamedDependency
from litestar.params import SkipValidation

from app.api.auth import Caller
from app.clock import Clock
from app.config import Config
from app.database.types import Pool
from app.provisioning.watching import RunWatcher
from app.sources.contract import Integration
from providers.adapter import Adapter

__all__ = [
    "InjectedAdapters",
    "InjectedCaller",
    "InjectedClock",
    "InjectedConfig",
    "InjectedIntegrations",
    "InjectedPool",
    "InjectedWatcher",
]

if TYPE_CHECKING:
    InjectedAdapters: TypeAlias = Mapping[str, Adapter]
    InjectedCaller: TypeAlias = Caller
    InjectedClock: TypeAlias = Clock
    InjectedConfig: TypeAlias = Config
    InjectedIntegrations: TypeAlias = Mapping[str, Integration]
    InjectedPool: TypeAlias = Pool
    InjectedWatcher: TypeAlias = RunWatcher
else:
    # None of it comes from a request, so there is nothing to validate; and asyncpg's generic types are
    # there for type checkers only.
    InjectedAdapters = NamedDependency[SkipValidation[Any]]
    InjectedCaller = NamedDependency[SkipValidation[Any]]
    InjectedClock = NamedDependency[SkipValidation[Any]]
    InjectedConfig = NamedDependency[SkipValidation[Any]]
    InjectedIntegrations = NamedDependency[SkipValidation[Any]]
    InjectedPool = NamedDependency[SkipValidation[Any]]
    InjectedWatcher = NamedDependency[SkipValidation[Any]]
