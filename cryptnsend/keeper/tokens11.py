"""A master key that stays in a token: AES-256-GCM by PKCS #11 (OASIS, version 2.40 and later), in an HSM or SoftHSM.

The key is made in the token and marked so that it leaves it in no form. The keeper asks at its start and when a key is
replaced; a session with the token is opened for each of these moments and closed after it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptnsend.core.errors import ConfigError, SealBroken
from cryptnsend.core.keys import NONCE, TAG
from cryptnsend.core.model import Random
from cryptnsend.core.seal import framed
from cryptnsend.keeper.providers import NoMasterKey

MISSING = "The package python-pkcs11 is missing: python -m pip install 'cryptnsend[pkcs11]'."
STAYS = (
    "The master key is in a token, which gives it to nobody: there is no recovery file of it. The token's own backup "
    "takes that place."
)


class Pkcs11Provider:
    """The master key in a token."""

    def __init__(self, module: Path, token: str, label: str, pin_file: Path, rng: Random):
        """Use the key *label* in *token* by the library *module*; the PIN is the first line of *pin_file*."""
        self._module, self._token, self._label, self._pin_file, self._rng = module, token, label, pin_file, rng

    def wrap(self, label: str, octets: bytes) -> bytes:
        from pkcs11 import GCMParams, Mechanism

        nonce, aad = self._rng(NONCE), framed("master", label)
        with self._key() as key:
            sealed = key.encrypt(octets, mechanism=Mechanism.AES_GCM, mechanism_param=GCMParams(nonce, aad))
        return nonce + bytes(sealed)

    def unwrap(self, label: str, wrapped: bytes) -> bytes:
        if len(wrapped) < NONCE + TAG:
            raise SealBroken("A wrapped key is cut short.")
        with self._key() as key:
            from pkcs11 import GCMParams, Mechanism, exceptions

            parameters = GCMParams(wrapped[:NONCE], framed("master", label))
            try:
                return bytes(key.decrypt(wrapped[NONCE:], mechanism=Mechanism.AES_GCM, mechanism_param=parameters))
            except (
                exceptions.EncryptedDataInvalid,
                exceptions.EncryptedDataLenRange,
                exceptions.FunctionFailed,
                exceptions.GeneralError,  # as some modules, SoftHSM among them, answer to a tag that does not fit
            ):
                raise SealBroken("A wrapped key does not fit its place.") from None

    def sealed_copy(self, k: bytes) -> bytes:
        raise ConfigError(STAYS)

    def make(self) -> None:
        """Make the key in the token, never to leave it; raise `ConfigError` if there is one of this label."""
        with self._session(writing=True) as session:
            from pkcs11 import Attribute, KeyType, MechanismFlag, ObjectClass

            if list(session.get_objects({Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.LABEL: self._label})):
                raise ConfigError(f"The token {self._token} has a key {self._label} already. None is overwritten.")
            session.generate_key(
                KeyType.AES,
                256,
                label=self._label,
                store=True,
                capabilities=MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT,
                template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
            )

    @contextlib.contextmanager
    def _key(self) -> Iterator[Any]:
        with self._session() as session:
            from pkcs11 import ObjectClass, exceptions

            try:
                yield session.get_key(object_class=ObjectClass.SECRET_KEY, label=self._label)
            except (exceptions.NoSuchKey, exceptions.MultipleObjectsReturned):
                raise NoMasterKey(f"The token {self._token} has not exactly one key {self._label}.") from None

    @contextlib.contextmanager
    def _session(self, *, writing: bool = False) -> Iterator[Any]:
        try:
            import pkcs11
        except ImportError:
            raise NoMasterKey(MISSING) from None
        try:
            token = pkcs11.lib(str(self._module)).get_token(token_label=self._token)
            session = token.open(rw=writing, user_pin=self._pin())
        except (pkcs11.exceptions.PKCS11Error, RuntimeError) as error:
            what = type(error).__name__
            raise NoMasterKey(f"The token {self._token} cannot be used by {self._module}: {what}.") from None
        try:
            with session:
                yield session
        except pkcs11.exceptions.PKCS11Error as error:
            raise NoMasterKey(f"The token {self._token} does not answer: {type(error).__name__}.") from None

    def _pin(self) -> str:
        try:
            if self._pin_file.stat().st_mode & 0o077:
                raise NoMasterKey(f"{self._pin_file}: others may read the token's PIN; set its mode to 600.")
            return self._pin_file.read_text().partition("\n")[0]
        except OSError as error:
            raise NoMasterKey(f"{self._pin_file}: the token's PIN cannot be read: {error.strerror}.") from None
