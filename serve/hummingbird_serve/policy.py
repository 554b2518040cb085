"""The hook that decides which prompts are made: a function of the operator's, by its import path."""

import asyncio
import importlib
import logging
from collections.abc import Callable

from hummingbird.core.errors import InputError

from hummingbird_serve.requests import APIError

Policy = Callable[[str], str | None]
"""Why a prompt is refused; none: it is not."""

POLICY_SECONDS = 10.0

logger = logging.getLogger("ray.serve")


def load_policy(name: str) -> Policy:
    """The function ``module:function``.

    Raises:
        InputError: there is no such function. A server whose policy is missing does not start.
    """
    module, separator, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), function) if separator else None
    except (ImportError, AttributeError) as error:
        raise InputError(f"serve.prompt_policy: there is no {name} ({error})") from error
    if not callable(found):
        raise InputError(f"serve.prompt_policy must be module:function, not {name}")
    policy: Policy = found
    return policy


async def check_policy(policy: Policy, prompt: str) -> None:
    """Asks the policy, in a thread.

    Raises:
        APIError: 400, it refuses the prompt; 503, it failed, took too long, or answered neither text nor None.
    """
    try:
        reason = await asyncio.wait_for(asyncio.to_thread(policy, prompt), POLICY_SECONDS)
        if reason is not None and not isinstance(reason, str):
            raise TypeError(f"the policy answered {type(reason).__name__}")
    except Exception as error:
        logger.exception("the prompt policy failed; the prompt is refused")
        message = "the check of prompts fails at present; try again later"
        raise APIError(503, message, "prompt", "policy_failed", retry_after=10) from error
    if reason is not None:
        raise APIError(400, reason or "the prompt is refused", "prompt", "prompt_refused")
