#!/usr/bin/env python3
"""Sends standard input with smtplib: HOST PORT starttls|tls plain|login USER PASSWORD FROM TO..."""

import smtplib
import ssl
import sys

host, port, security, mechanism, user, password, sender, *recipients = sys.argv[1:]
message = sys.stdin.buffer.read()

context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE

if security == "tls":
    client = smtplib.SMTP_SSL(host, int(port), context=context, timeout=60)
else:
    client = smtplib.SMTP(host, int(port), timeout=60)
    client.starttls(context=context)

with client:
    client.ehlo()
    client.user, client.password = user, password
    client.auth(mechanism.upper(), getattr(client, f"auth_{mechanism}"))
    options = ["BODY=8BITMIME"] if any(byte > 127 for byte in message) else []
    refused = client.sendmail(sender, recipients, message, mail_options=options)
    if refused:
        sys.exit(f"refused: {refused}")
