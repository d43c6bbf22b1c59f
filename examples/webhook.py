"""Check that an event came from CryptnSend: python webhook.py SECRET-FILE ID TIMESTAMP SIGNATURE < body

What a web server does with each request to a webhook: the three are the header fields webhook-id, webhook-timestamp and
webhook-signature. SECRET-FILE has the secret of the page, which begins with whsec_. Remember each ID for some days: an
event that was told and not acknowledged comes again with the same one.
"""

import base64, hmac, json, sys, time
from pathlib import Path

secret_file, ident, timestamp, signatures = sys.argv[1:]
key = base64.b64decode(Path(secret_file).read_text().strip().removeprefix("whsec_"))
body = sys.stdin.buffer.read()

own = base64.b64encode(hmac.digest(key, f"{ident}.{timestamp}.".encode() + body, "sha256")).decode()
if not any(hmac.compare_digest(f"v1,{own}", each) for each in signatures.split()):
    sys.exit("this was signed by somebody else")
if abs(time.time() - int(timestamp)) > 300:
    sys.exit("this is more than five minutes old: somebody may be sending it again")
event = json.loads(body)
print(event["type"], event["data"].get("message", ""))
