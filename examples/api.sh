#!/bin/sh
# One secure message with a file by curl, what became of it, and having it back. The token stays out of the list of
# processes: HEADER-FILE has the line "Authorization: Bearer cns_..." and belongs to you alone.
# sh api.sh BASE HEADER-FILE RECIPIENT FILE CERTIFICATE
set -eu
ask() { curl -sS --fail-with-body --cacert "$certificate" -H @"$header" "$@"; }
base=$1 header=$2 recipient=$3 file=$4 certificate=$5
sent=$(ask "$base/api/v1/messages" -H "Idempotency-Key: letter-$recipient" \
  -F "message={\"to\": [\"$recipient\"], \"subject\": \"Your letter\", \"text\": \"It is attached.\"}" \
  -F "file=@$file;type=application/pdf")
id=$(printf %s "$sent" | sed 's/.*"id":"\([0-9]*\)".*/\1/')
ask "$base/api/v1/messages/$id"
ask "$base/api/v1/messages?limit=10" >/dev/null
ask "$base/api/v1/messages/$id/expire" --json "{\"recipient\": \"$recipient\"}"
