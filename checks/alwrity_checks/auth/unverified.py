"""A token's two halves, decoded and not verified: for diagnosis only. Nobody is who such claims say he is."""

from __future__ import annotations

from typing import Any

from alwrity_checks.auth.strict import decode_base64url, decode_object

__all__ = ["decode_unverified"]


def decode_unverified(token: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return header and claims of a compact JWS; None if they are not two JSON objects in strict base64url.

    Neither the signature nor its encoding is looked at, so a token whose signature was blotted out still decodes.
    Never raises; time and memory are linear in the token's length.
    """
    parts = token.split(".", 3)
    if len(parts) != 3:  # noqa: PLR2004 - RFC 7515 §7.1: header, payload, signature
        return None
    try:
        header, claims = (decode_object(decode_base64url(part.encode("ascii"))) for part in parts[:2])
    except ValueError:
        return None
    return header, claims
