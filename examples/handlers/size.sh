# Any command is a handler: the payload is JSON in PAYLOAD, the last line of JSON is the result, the exit code is the outcome.
file=$(printf '%s' "$PAYLOAD" | sed -n 's/.*"file" *: *"\([^"]*\)".*/\1/p')
bytes=$(wc -c < "$file") || exit 1
echo "{ \"bytes\": $bytes }"
