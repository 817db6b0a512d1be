"""Show addresses without the logins and signatures in them: in messages, receipts, logs and pages."""

import re

# A password may contain any of : / ? # @, and a token may stand alone: the login ends at the last @ of the word. In
# a bucket's address, only what comes before the first slash may be a login; its keys may contain @.
BUCKETS = r"(?:s3|s3a|gs|gcs|az|abfss?|file|sqlite)"
LOGIN = re.compile(rf"(?i)(?<![a-z0-9])(?!{BUCKETS}://)([a-z][a-z0-9+.-]*://)\S*@")
LOGIN_OF_BUCKET = re.compile(rf"(?i)\b({BUCKETS}://)(?:[^\s/:@]*:\S*|[^\s/@]*)@")
# An address without its scheme, as somebody may write it: before a host with a port, a dot or a bracket. Nothing else:
# `dvc.yaml:build_features@2026-03-22` is a stage.
BARE_LOGIN = re.compile(r"(?<![\w@.+-])[^\s/:@'\"(]+:(?!//)[^\s@'\"]+@(?=\[|localhost\b|[\w-]+(?:\.[\w-]|:\d))")
# Parts of names whose value is secret, and names that end like this.
PARTS = "credential|signature|token|passwd|password|pwd|secret"
ENDS = "sig|pass|auth|key"
SIGNATURE = re.compile(rf"(?i)([?&;#](?:[\w.-]*(?:{PARTS})[\w.-]*|[\w.-]*(?:{ENDS}))=)[^&\s'\"]+")


def hide_logins(text: str) -> str:
    """Return a text whose addresses have no user names, passwords, tokens or signatures.

    Parameters
    ----------
    text : str
        An address, or a message that may contain addresses. If a word could be read in two ways, more is hidden.
    """
    for login in LOGIN, LOGIN_OF_BUCKET:
        text = login.sub(r"\1", text)
    return SIGNATURE.sub(r"\1...", BARE_LOGIN.sub("", text))
