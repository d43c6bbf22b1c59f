#!/bin/sh
# One secure message by swaks. The password goes by the environment, so that no list of processes shows it.
# sh swaks.sh HOST PORT ADDRESS PASSWORD-FILE RECIPIENT CERTIFICATE
set -eu
SWAKS_OPT_auth_password=$(cat "$4") swaks --server "$1" --port "$2" --tls-on-connect --tls-verify --tls-ca-path "$6" \
  --auth PLAIN --auth-user "$3" \
  --from "$3" --to "$5" --header "Subject: Your results" --body "They are fine."
