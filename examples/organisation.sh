#!/bin/sh
# A practice with an officer and two subscribers, whose mail to each other needs no codes.
# sh organisation.sh HOME HOSTNAME OFFICER-PASSWORD-FILE FIRST-PASSWORD-FILE SECOND-PASSWORD-FILE
set -eu
home=$1
cryptnsend init --home "$home" --hostname "$2" --domain secure.clinic.example --officer officer@clinic.example \
  --free-ports --password-stdin <"$3"
cryptnsend subscriber add ann@gmail.example --home "$home" --name "Dr. Ann Ruiz" --password-stdin <"$4"
cryptnsend subscriber add bob@gmail.example --home "$home" --name "Bob Lee" --password-stdin <"$5"
cryptnsend subscriber list --home "$home"
cryptnsend policy explain --home "$home" --from ann@gmail.example --to bob@gmail.example --subject "Tuesday"
