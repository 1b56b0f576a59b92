# The whole contract in plain shell: payload by variable or file, progress in a file that is renamed, result in a file.
set -eu
trap 'exit 143' TERM
payload=${PAYLOAD-$(cat "$POP_PAYLOAD_FILE"*)} # a large one is several files in a Pod: payload.json, payload.json.1, ...
file=$(printf '%s' "$payload" | sed -n 's/.*"file" *: *"\([^"]*\)".*/\1/p')
report() {
  [ -n "${POP_PROGRESS_FILE-}" ] || return 0 # absent in a Pod
  printf '{ "message": "%s", "percentComplete": %s }' "$1" "$2" > "$POP_PROGRESS_FILE.new"
  mv "$POP_PROGRESS_FILE.new" "$POP_PROGRESS_FILE"
}
report "Counting $OPERATION_NAME" 10
bytes=$(wc -c < "$file")
report 'Counted' 90
printf '{ "bytes": %s }' "$bytes" > "$POP_RESULT_FILE"
