"""Send one secure message by the REST interface: python api.py BASE TOKEN-FILE RECIPIENT [FILE [CERTIFICATE]]

BASE is the portal's address; TOKEN-FILE has the token of Settings, Programs that send for you, and nothing else.
What a message is about makes its key: run again for the same visit, this sends nothing twice.
"""

import json, ssl, sys, time, urllib.error, urllib.request
from pathlib import Path

base, token_file, recipient, file, certificate = [*sys.argv[1:], "", ""][:5]
token = Path(token_file).read_text().strip()
trust = ssl.create_default_context(cafile=certificate or None)


def ask(method, path, content=None, kind="application/json", **headers):
    """Return the answer as JSON; say what is wrong and end, or wait as we are told to and ask again."""
    headers |= {"Authorization": f"Bearer {token}"} | ({"Content-Type": kind} if content else {})
    request = urllib.request.Request(f"{base}/api/v1{path}", content, headers, method=method)
    while True:
        try:
            with urllib.request.urlopen(request, context=trust, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            problem = json.load(error)
            if error.code not in (429, 503):
                sys.exit(f"{problem['title']}: {problem['detail']} {problem.get('field', '')}")
            time.sleep(int(error.headers["Retry-After"]))


message = json.dumps({"to": [recipient], "subject": "Your results", "text": "They are fine."}).encode()
if file:  # a form of parts: the message as JSON, and files
    line, part = "a-line-that-no-file-has", b"--%b\r\nContent-Disposition: form-data; name="
    parts = part % line.encode() + b'"message"\r\n\r\n' + message + b"\r\n"
    parts += part % line.encode() + b'"file"; filename="results.pdf"\r\nContent-Type: application/pdf\r\n\r\n'
    message = parts + Path(file).read_bytes() + f"\r\n--{line}--\r\n".encode()
    kind = f"multipart/form-data; boundary={line}"
else:
    kind = "application/json"
sent = ask("POST", "/messages", message, kind, **{"Idempotency-Key": f"visit-4711-{recipient}"})
print("sent", sent["id"])
for each in ask("GET", f"/messages/{sent['id']}")["recipients"]:
    print(each["address"], each["state"], "needs your code" if each["needs_code"] else "")
