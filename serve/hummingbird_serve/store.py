"""What lasts of the jobs: requests, who works on them, how they ended, and the files of the videos.

Entries of the state (`hummingbird_serve.state`), all JSON:

    ID.request       what was asked; a video exists exactly as long as this entry, which is written once
    ID.claim.N       the Nth time that a server took the job: who, and how often its making had begun before
    ID.end           how it ended; of several ends the first stays
    owner_NAME       a server's sign of life, written anew all the time, with how far it is with its jobs
    key_HASH         the video of an Idempotency-Key

Entries are created, never changed by another than their writer, so that no lock is needed. Files of the media are
named ``ID.N.mp4`` after the claim that made them, so that two makers never write the same one. All functions block.
"""

import hashlib
import json
import re
import secrets
from collections.abc import Container, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from hummingbird.core.files import AnyPath, write_atomically

from hummingbird_serve.requests import VideoRequest
from hummingbird_serve.state import State, remove_half_written

EndStatus = Literal["completed", "failed", "cancelled"]

PROBE_BYTES = 1 << 20

_ENTRY = re.compile(r"(video_[0-9a-f]{32})\.(request|end|claim\.([0-9]+))")
_MEDIA = re.compile(r"(video_[0-9a-f]{32})\.[0-9]+\.(mp4|webp)")


@dataclass(frozen=True)
class Job:
    """A job as it was accepted. Times are Unix seconds."""

    id: str
    created_at: float
    request: VideoRequest
    client: str = ""
    """Name of the API key that asked."""
    remixed_from: str | None = None
    key: str | None = None
    """The entry of its Idempotency-Key."""


@dataclass(frozen=True)
class Claim:
    """A server's hold on a job."""

    number: int
    owner: str
    attempts: int
    """How often its making had begun when it was taken, or when it was given back."""
    reason: str | None = None
    """Why it was given back; none: it was not."""

    @property
    def released(self) -> bool:
        """Whether the owner gave the job back."""
        return self.reason is not None


@dataclass(frozen=True)
class End:
    """How a job ended."""

    status: EndStatus
    completed_at: float
    expires_at: float
    error: str | None = None
    code: str | None = None
    claim: int = 0
    """Of completed videos: the claim that made it, which is in the names of its files."""
    generation_seconds: float | None = None
    batch_size: int | None = None


@dataclass
class Entries:
    """What a look at the state found."""

    ids: set[str] = field(default_factory=set)
    jobs: dict[str, Job] = field(default_factory=dict)
    """Those that were not known before."""
    ends: dict[str, End] = field(default_factory=dict)
    """Those that were not known before."""
    claims: dict[str, Claim] = field(default_factory=dict)
    """The last of each job that has not ended."""
    owners: dict[str, tuple[int, dict[str, int]]] = field(default_factory=dict)
    """Sign of life, and steps done of each job, of the other servers."""
    unreadable: dict[str, float] = field(default_factory=dict)
    """Jobs of another version, or damaged, and when they were accepted (0 where that cannot be read either)."""


class KeyTakenError(Exception):
    """The Idempotency-Key was used before: ``job`` is its video, none where it has been removed."""

    def __init__(self, job_id: str | None, same_body: bool) -> None:
        super().__init__(job_id)
        self.job_id, self.same_body = job_id, same_body


def new_id() -> str:
    """An id that nobody can guess."""
    return f"video_{secrets.token_hex(16)}"


class JobStore:
    """The jobs of all servers on one storage.

    Args:
        state: of the jobs.
        media: the folder of the finished files.
    """

    def __init__(self, state: State, media: AnyPath) -> None:
        self.state, self.media = state, media
        media.mkdir(parents=True, exist_ok=True)

    def add(self, job: Job, body_hash: str = "") -> Job:
        """Accepts a job: once this returns, it is kept.

        Raises:
            KeyTakenError: ``job.key`` has a video already.
            OSError: it could not be saved; there is no such job then.
        """
        if job.key is not None:
            job = self._with_key(job, body_hash)
        if not self.state.create(f"{job.id}.request", _json(asdict(job))) and job.key is not None:
            raise KeyTakenError(job.id, same_body=True)  # its first request was saved meanwhile
        return job

    def _with_key(self, job: Job, body_hash: str) -> Job:
        """The job under the id that belongs to its key: another server may have been killed between the two."""
        key = str(job.key)
        if self.state.create(key, _json({"id": job.id, "body": body_hash, "created_at": job.created_at})):
            return job
        known = self._load(key) or {}
        if known.get("body") != body_hash:
            raise KeyTakenError(known.get("id"), same_body=False)
        if self.state.read(f"{known['id']}.request") is not None:
            raise KeyTakenError(known["id"], same_body=True)
        # A removed video's key says so before the video goes, so the order of these two looks matters.
        if (self._load(key) or {"removed": True}).get("removed"):
            raise KeyTakenError(None, same_body=True)
        return Job(**{**vars(job), "id": known["id"]})

    def claim(self, job_id: str, last: Claim | None, owner: str, attempts: int) -> Claim | None:
        """Takes a job; none where another was first."""
        claim = Claim((last.number if last else 0) + 1, owner, attempts)
        name = f"{job_id}.claim.{claim.number}"
        return claim if self.state.create(name, _json(asdict(claim))) else None

    def release(self, job_id: str, claim: Claim, attempts: int, reason: str) -> Claim:
        """Gives a job back, so that anybody may take it at once."""
        given = Claim(claim.number, claim.owner, attempts, reason)
        self.state.write(f"{job_id}.claim.{claim.number}", _json(asdict(given)))
        return given

    def beat(self, owner: str, count: int, steps: Mapping[str, int]) -> None:
        """A sign of life: the owner's claims hold as long as others see ``count`` change."""
        self.state.write(f"owner_{owner}", _json({"count": count, "steps": dict(steps)}))

    def leave(self, owner: str) -> None:
        """Removes a server's sign of life: what it held is free."""
        self.state.remove(f"owner_{owner}")

    def end(self, job_id: str, end: End) -> bool:
        """Ends a job; False where it has ended already or was deleted."""
        if not self.state.create(f"{job_id}.end", _json(asdict(end))):
            return False
        if self.state.read(f"{job_id}.request") is None:  # deleted: nothing may be left of it
            self.remove_rest(job_id)
            return False
        return True

    def find(self, job_id: str) -> tuple[Job, End | None] | None:
        """A job and its end, as they are now."""
        fields = self._load(f"{job_id}.request")
        if fields is None:
            return None
        return _job(fields), self._end(job_id)

    def keep_files(self, job_id: str, claim: int, mp4: bytes, thumbnail: bytes) -> None:
        """Writes the files of a video; of a failure nothing is left."""
        try:
            write_atomically(self.file(job_id, claim, "mp4"), mp4)
            write_atomically(self.file(job_id, claim, "webp"), thumbnail)
        except OSError:
            self.drop_files(job_id, claim)
            raise

    def drop_files(self, job_id: str, claim: int) -> None:
        """Removes what one claim has made."""
        for kind in ("mp4", "webp"):
            self.file(job_id, claim, kind).unlink(missing_ok=True)

    def file(self, job_id: str, claim: int, kind: str) -> AnyPath:
        """Where the video ("mp4") or its picture ("webp") is."""
        return self.media / f"{job_id}.{claim}.{kind}"

    def delete(self, job: Job) -> None:
        """Removes a job and all that belongs to it. Its request goes first and never comes back."""
        if job.key is not None and (known := self._load(job.key)) is not None:
            try:
                self.state.write(job.key, _json({**known, "removed": True}))
            except OSError:  # a full disk must not keep its user from making room
                self.state.remove(job.key)
        self.state.remove(f"{job.id}.request")
        self.remove_rest(job.id)

    def remove_unreadable(self, job_id: str) -> None:
        """Removes a job of which nothing but the id is known."""
        self.state.remove(f"{job_id}.request")
        self.remove_rest(job_id)

    def probe(self) -> None:
        """Writes and removes about as much as a job needs. Raises OSError where that does not go."""
        name = f"probe_{secrets.token_hex(8)}"
        try:
            write_atomically(self.media / name, bytes(PROBE_BYTES))
            self.state.write(name, bytes(1024))
        finally:
            (self.media / name).unlink(missing_ok=True)
            self.state.remove(name)

    def remove_rest(self, job_id: str) -> None:
        """Removes what is left of a job without request."""
        number = 1
        while self.state.read(name := f"{job_id}.claim.{number}") is not None:
            self.drop_files(job_id, number)
            self.state.remove(name)
            number += 1
        self.state.remove(f"{job_id}.end")

    def look(self, known: Container[str], ended: Container[str], owner: str) -> Entries:
        """Reads what is new.

        Args:
            known: ids whose request need not be read.
            ended: ids whose end need not be read.
            owner: the server that asks.
        """
        found, last, ends = Entries(), dict[str, int](), set[str]()
        for name in self.state.names():
            if match := _ENTRY.fullmatch(name):
                job_id, kind, number = match.groups()
                if kind == "request":
                    found.ids.add(job_id)
                elif kind == "end":
                    ends.add(job_id)
                else:
                    last[job_id] = max(int(number), last.get(job_id, 0))
            elif name.startswith("owner_") and name != f"owner_{owner}" and (sign := self._load(name)):
                found.owners[name.removeprefix("owner_")] = (sign["count"], sign["steps"])
        for job_id in found.ids:
            fields: dict[str, Any] | None = None
            try:
                if job_id not in known and (fields := self._load(f"{job_id}.request")) is not None:
                    found.jobs[job_id] = _job(fields)
                if job_id in ends:
                    if job_id not in ended and (end := self._end(job_id)) is not None:
                        found.ends[job_id] = end
                elif job_id in last and (claim := self._load(f"{job_id}.claim.{last[job_id]}")) is not None:
                    found.claims[job_id] = Claim(**claim)
            except (ValueError, TypeError, KeyError):
                created_at = (fields or {}).get("created_at")
                found.unreadable[job_id] = created_at if isinstance(created_at, float) else 0.0
        return found

    def exists(self, job_id: str) -> bool:
        """Whether the job was not deleted."""
        return self.state.read(f"{job_id}.request") is not None

    def tidy(self, now: float, keep_seconds: float) -> None:
        """Removes what deleted jobs and killed servers left: entries and files without request, old keys."""
        # Files first: a request is there before its files, so that what has none now never had one.
        files = [(path, match[1]) for path in self.media.iterdir() if (match := _MEDIA.fullmatch(path.name))]
        names = self.state.names()
        kept = {match[1] for name in names if (match := _ENTRY.fullmatch(name)) and match[2] == "request"}
        for name in names:
            match = _ENTRY.fullmatch(name)
            if (match and match[1] not in kept and not self.exists(match[1])) or name.startswith("probe_"):
                self.state.remove(name)
            elif name.startswith("key_"):
                known = self._load(name)
                if known and now - known["created_at"] > keep_seconds and known["id"] not in kept:
                    self.state.remove(name)
        for path, job_id in files:
            if job_id not in kept and not self.exists(job_id):
                path.unlink(missing_ok=True)
        if isinstance(self.media, Path):
            remove_half_written(self.media)

    def _end(self, job_id: str) -> End | None:
        fields = self._load(f"{job_id}.end")
        return None if fields is None else End(**fields)

    def _load(self, name: str) -> dict[str, Any] | None:
        content = self.state.read(name)
        return None if content is None else dict(json.loads(content))


def key_entry(client: str, key: str) -> str:
    """The entry of an Idempotency-Key; keys of different clients are different."""
    return f"key_{hashlib.sha256(json.dumps([client, key]).encode()).hexdigest()}"


def _job(fields: dict[str, Any]) -> Job:
    return Job(**{**fields, "request": VideoRequest(**fields["request"])})


def _json(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields).encode()
