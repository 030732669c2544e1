"""Settings: the only reader of the environment and of file paths.

``load(path)`` reads ``gateway.yaml``; every key has a default but ``upstream``, ``auth`` and ``policy``. The
environment wins over the file: ``NLSQL_LISTEN__PORT=7000`` is ``listen: {port: 7000}``. Relative paths start at the
file's folder. Secrets are named by the variable (``password_env``) or the file (``password_file``) that holds them.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from nlsql_gateway.config_audit import Audit, Heads
from nlsql_gateway.config_console import Console
from nlsql_gateway.config_login import Lockout
from nlsql_gateway.config_metrics import Metrics
from nlsql_gateway.config_types import Bytes, Seconds, Section
from nlsql_gateway.errors import ConfigError


class Tls(Section):
    certificate: Path
    "PEM file: the server's certificate, then its chain."
    key: Path
    "PEM file: the private key."
    required: bool = False
    "Refuse clients that do not ask for TLS."
    client_ca: Path | None = None
    "PEM file of the authorities whose client certificates are good; clients are asked for one then."
    client_crl: Path | None = None
    "PEM file of the certificates that those authorities have revoked, a list from each of them."


def _address(value: str) -> str:
    host, colon, port = value.rpartition(":")
    if not host or not colon or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError("write host:port")
    return value


Address = Annotated[str, AfterValidator(_address)]
ReplicaId = Annotated[int, Field(ge=0, le=63)]


class Cancel(Section):
    replica_id: ReplicaId = 0
    "0 to 63, different in each gateway behind one load balancer; it stands in the cancel keys that this one gives."
    peers: dict[ReplicaId, Address] = Field(default={})
    "The other gateways, each `id: host:port`: a cancel request with the key of one of them is sent on to it."


class Keepalive(Section):
    idle: Seconds = 60.0
    "How long a connection is silent before TCP asks whether the other side is still there; whole seconds."
    interval: Seconds = 10.0
    "Between two questions that were not answered; whole seconds."
    count: int = Field(default=6, ge=1, le=100)
    "So many questions without an answer end the connection."
    user_timeout: Seconds | None = 120.0
    "What was sent and is not acknowledged for this long ends the connection; null: as the kernel has it."


class Listen(Section):
    host: str = "127.0.0.1"
    "The address to listen on; 0.0.0.0 for all, then with listen.tls."
    port: int = Field(default=6432, ge=0, le=65535)
    "0: any free port; the ready line says which."
    tls: Tls | None = None
    workers: Annotated[int, Field(ge=1, le=128)] | Literal["auto"] = 1
    "Processes that serve, each with an audit chain of its own; auto: one for each CPU."
    max_clients: int = Field(default=1000, gt=0)
    "One more is refused with 53300; of all workers together."
    max_logins: int = Field(default=250, gt=0)
    "Clients of one address that have not logged in yet; one more is refused with 53300. Of each worker."
    login_timeout: Seconds = 30.0
    "From accept to the end of login."
    idle_timeout: Seconds | None = None
    "A client that sends nothing for this long outside a transaction is disconnected with 57P05; null: never."
    max_message: Bytes = 64 * 1024**2
    "A longer message from a client is refused with 54000."
    shutdown_grace: Seconds = 30.0
    "After SIGTERM, what runs has this long to end."
    keepalive: Keepalive = Keepalive()
    cancel: Cancel = Cancel()

    def worker_count(self) -> int:
        """``workers``, auto worked out."""
        return min(len(os.sched_getaffinity(0)), 128) if self.workers == "auto" else self.workers


class Endpoint(Section):
    host: str
    "A host name or address, or the folder of a Unix socket."
    port: int = Field(default=5432, ge=1, le=65535)
    "Of the PostgreSQL server or pooler there."

    def __str__(self) -> str:
        return f"{self.host} port {self.port}"

    @property
    def is_socket(self) -> bool:
        return self.host.startswith("/")


class Upstream(Section):
    host: str = "127.0.0.1"
    "A host name or address, or the folder of a Unix socket."
    port: int = Field(default=5432, ge=1, le=65535)
    "Of the PostgreSQL server or pooler behind the gateway."
    hosts: tuple[Endpoint, ...] = ()
    "Several servers, each `{host: …, port: …}`, in the place of host and port; the first that will do is taken."
    target_session_attrs: Literal["any", "read-write", "read-only", "primary", "standby", "prefer-standby"] = "any"
    "Which of the servers will do, as libpq has it; docs/pooling.md says what the pins make of read-write."
    load_balance_hosts: Literal["disable", "random"] = "disable"
    "random: each connection tries the servers in an order of its own."
    user: str
    "The service role that every statement runs as; `nlsql-gateway check` says when it may do too much."
    password_env: str | None = None
    "The environment variable that holds the password."
    password_file: Path | None = None
    "A file whose first line is the password."
    sslmode: Literal["disable", "prefer", "require", "verify-ca", "verify-full"] = "prefer"
    "As libpq has it. Over a network use verify-full."
    root_certificate: Path | None = None
    "PEM file of the authorities for verify-ca and verify-full; null: the system's."
    certificate: Path | None = None
    "PEM file: the gateway's own certificate, for a server that asks for one; then its chain."
    key: Path | None = None
    "PEM file: the private key of that certificate, without a passphrase."
    channel_binding: Literal["disable", "prefer", "require"] = "prefer"
    "Bind the SCRAM login to the TLS connection (SCRAM-SHA-256-PLUS); require: no other login will do."
    connect_timeout: Seconds = 10.0
    "Of one connection to one server, login included."
    keepalive: Keepalive = Keepalive()
    pooler: Literal["none", "session", "transaction"] = "none"
    "What PgBouncer's pool_mode is, when the upstream is one: docs/pooling.md."
    catalog_refresh: Seconds = 60.0
    "How old the picture of the database's tables may become before it is read again; it serves on for as long again."

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The servers, in the order of the file."""
        return self.hosts or (Endpoint(host=self.host, port=self.port),)

    @model_validator(mode="after")
    def _fits(self) -> Upstream:
        if self.hosts and not {"host", "port"}.isdisjoint(self.model_fields_set):
            raise ValueError("write host and port, or hosts, not both")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together")
        if self.channel_binding == "require" and self.sslmode not in ("verify-ca", "verify-full"):
            # asyncpg, which reads the catalog, cannot bind: the certificate is what proves the server to it.
            raise ValueError("channel_binding require needs sslmode verify-ca or verify-full")
        return self

    def password(self) -> str | None:
        """The password, read now; None when neither key is set. Raises ConfigError when it is named but not there."""
        if self.password_env is not None:
            value = os.environ.get(self.password_env)  # noqa: TID251 - this module is the one reader
            if value is None:
                raise ConfigError(f"upstream.password_env: the environment variable {self.password_env} is not set")
            return value
        if self.password_file is not None:
            try:
                return self.password_file.read_text().splitlines()[0]
            except (OSError, IndexError) as error:
                raise ConfigError(f"upstream.password_file: {self.password_file}: {error}") from error
        return None


class Auth(Section):
    method: Literal["scram-sha-256", "cert", "passthrough", "trust"] = "scram-sha-256"
    "How clients log in. cert: by certificate alone. passthrough: at the database, as themselves. trust: without proof."
    users: Path | None = None
    'The users file: one `"name" "SCRAM-SHA-256$…"` a line, as `nlsql-gateway user add` writes it.'
    clientcert: Literal["no", "verify-ca", "verify-full"] = "no"
    "Beside the method: verify-ca asks for a certificate of listen.tls.client_ca, verify-full also for the user's name."
    certificate_name: Literal["cn", "san"] = "cn"
    "Where the user's name stands in a certificate: its one common name, or any alternative name (DNS, e-mail, URI)."
    certificate_map: dict[str, str | list[str]] = Field(default={})
    "Names in certificates, each with its user or users; others are refused. Empty: the name is the user."
    lockout: Lockout = Lockout()

    @property
    def needs_certificate(self) -> bool:
        return self.method == "cert" or self.clientcert != "no"

    @model_validator(mode="after")
    def _needs_users(self) -> Auth:
        if self.method == "scram-sha-256" and self.users is None:
            raise ValueError("method scram-sha-256 needs the key users: the file with the verifiers")
        return self


class Cache(Section):
    entries: int = Field(default=1000, ge=0)
    "Answers that are kept, of each worker; the least recently used goes first. 0: every question is asked anew."


class Values(Section):
    refresh: float = Field(default=600, ge=0)
    "Seconds for which the values of columns, read as whoever asks, are used; then read again. 0: none is read."
    memory: int = Field(default=32, gt=0)
    "MiB that they may take, of each worker; one person's take a quarter at most."
    hints: int = Field(default=0, ge=0, le=8)
    "Lines of a prompt that say which column holds what the question names: `city = 'Oslo'`."


class Ask(Section):
    backend: Literal["triton", "openai", "none"] = "triton"
    "none: questions are refused with NL002."
    url: str = "grpc://127.0.0.1:8001"
    "triton: grpc://host:port or grpcs://host:port. openai: the base URL that ends in /v1."
    urls: tuple[str, ...] = ()
    "Several servers of the same model, the preferred one first; then `url` is not used."
    model: str = "qwen2_5_coder_1_5b"
    "The name of the model at the server."
    model_version: str = Field(default="", pattern="^[0-9]*$")
    "triton: the number of the version that is asked; empty: the newest that is loaded."
    prompt: Literal[
        "auto", "chatml", "chat", "sqlcoder", "sqlcoder-schema-first", "llama3-sqlcoder", "llama3-sqlcoder-schema-first"
    ] = "auto"
    "The template family; auto tells it from the model's name. chat: openai only, its chat completions."
    deadline: Seconds = 60.0
    "From the question to its SQL; past it 57014. On a CPU the first question reads the whole schema: allow for it."
    repairs: int = Field(default=2, ge=0, le=5)
    "How often the model may mend its SQL with the error."
    samples: int = Field(default=3, ge=0, le=16)
    "Further answers that the model is asked for where the first is doubtful; what most of them agree on is given."
    patience: Seconds = 8.0
    "After these seconds, or half as long behind the first answer, no further one is asked for: what passed is given."
    threshold: float = Field(default=0.2, ge=0, le=1)
    "An answer of less confidence is doubtful; 0: none is."
    below_threshold: Literal["refuse", "warn"] = "refuse"
    "A doubtful answer is refused with NL004, or given with a WARNING."
    look: float = Field(default=0.5, ge=0, le=60)
    "Seconds for one look into the data, recorded, as whoever asks: is a text stored, what is returned; 0: none."
    max_tokens: int = Field(default=200, gt=0)
    "Of one answer of the model. What a small model writes beyond is seldom SQL; a large one on a GPU may have more."
    max_prompt_tokens: int = Field(default=6000, gt=0)
    "A schema that does not fit is pruned."
    max_pruned_tokens: int = Field(default=1500, gt=0)
    "To which it is pruned: each question reads tables of its own then, on two cores some 75 tokens a second."
    semantics: Path | None = None
    "The file that says what words mean and which questions are verified; null: none."
    cache: Cache = Cache()
    values: Values = Values()
    api_key_env: str | None = None
    "openai: the environment variable that holds the key."

    @model_validator(mode="after")
    def _chats_with_openai_only(self) -> Ask:
        if self.prompt == "chat" and self.backend != "openai":
            raise ValueError("prompt: chat needs backend: openai")
        return self

    def api_key(self) -> str | None:
        if self.api_key_env is None:
            return None
        value = os.environ.get(self.api_key_env)  # noqa: TID251 - this module is the one reader
        if value is None:
            raise ConfigError(f"ask.api_key_env: the environment variable {self.api_key_env} is not set")
        return value


class Log(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    "The lowest level that is logged."
    format: Literal["json", "console"] = "json"
    "json: a line an event for machines; console: for a person."


class Settings(BaseSettings):
    """One gateway. See docs/settings.md."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix="NLSQL_", env_nested_delimiter="__", use_attribute_docstrings=True
    )

    listen: Listen = Listen()
    upstream: Upstream
    auth: Auth
    ask: Ask = Ask()
    policy: Path
    "The policy file."
    audit: Audit = Audit()
    log: Log = Log()
    metrics: Metrics = Metrics()
    console: Console | None = None

    @model_validator(mode="after")
    def _needs_authorities(self) -> Settings:
        if self.auth.needs_certificate and (self.listen.tls is None or self.listen.tls.client_ca is None):
            raise ValueError("auth asks for client certificates, so listen.tls.client_ca must name their authorities")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic-settings gives the signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (env_settings, init_settings)  # the environment wins over the file


def token(heads: Heads) -> str | None:
    """The bearer token for ``audit.heads.publish``. Raises ConfigError when it is named but not there."""
    return None if heads.token_env is None else _secret(heads.token_env, "audit.heads.token_env")


def _secret(name: str, key: str) -> str:
    value = os.environ.get(name)  # noqa: TID251 - this module is the one reader
    if value is None:
        raise ConfigError(f"{key}: the environment variable {name} is not set")
    return value


def schema() -> str:
    """The JSON Schema of gateway.yaml, for editors (https://json-schema.org)."""
    found = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Settings.model_json_schema()}
    return json.dumps(found, indent=1, sort_keys=True) + "\n"


def client_password() -> str | None:
    """PGPASSWORD, as every Postgres client reads it; for the commands that are clients themselves."""
    return os.environ.get("PGPASSWORD")  # noqa: TID251 - this module is the one reader


def environment() -> dict[str, str]:
    """All of it, for a program that is started in a person's name."""
    return dict(os.environ)  # noqa: TID251 - this module is the one reader


def load(path: Path) -> Settings:
    """The settings in the YAML file ``path``. Raises ConfigError naming the file and the key, one line a fault."""
    try:
        data = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: {_one_line(error)}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: expected keys such as listen, upstream, policy")
    try:
        settings = Settings(**data)
    except ValidationError as error:
        raise ConfigError("\n".join(_fault(path, dict(e)) for e in error.errors())) from error
    resolved: Settings = _resolved(settings, path.resolve().parent)
    return resolved


def _fault(path: Path, error: dict[str, Any]) -> str:
    key = ".".join(str(part) for part in error["loc"]) or "(file)"
    message = (
        "not a known key" if error["type"] == "extra_forbidden" else str(error["msg"]).removeprefix("Value error, ")
    )
    return f"{path}: {key}: {message}"


def _one_line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}: " if mark is not None else ""
    return f"{where}{getattr(error, 'problem', None) or 'not YAML'}"


def _resolved(model: Any, folder: Path) -> Any:
    """A copy whose relative paths start at ``folder``."""
    updates: dict[str, Any] = {}
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, Path):
            updates[name] = value if value.is_absolute() else folder / value
        elif isinstance(value, BaseModel):
            updates[name] = _resolved(value, folder)
    return model.model_copy(update=updates)
