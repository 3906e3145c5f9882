#!/usr/bin/env python3
"""Verifies each DKIM signature of standard input with dkimpy. Argument: the DNS records as JSON, [[name, text], ...]."""

import json
import sys

import dkim

records = {name.rstrip("."): text.encode() for name, text in json.loads(sys.argv[1])}
message = sys.stdin.buffer.read()


def txt(name, timeout=5):
    return records.get((name.decode() if isinstance(name, bytes) else name).rstrip("."))


count = sum(1 for name, _ in dkim.rfc822_parse(message)[0] if name.lower() == b"dkim-signature")
for index in range(count):
    verifier = dkim.DKIM(message)
    try:
        passed = verifier.verify(idx=index, dnsfunc=txt)
    except dkim.DKIMException as error:
        passed, verifier.failure = False, error
    algorithm = verifier.signature_fields.get(b"a", b"?").decode()
    print(algorithm, "pass" if passed else f"fail {getattr(verifier, 'failure', '')}")
