/** A handler in plain shell: files, variables and an exit code are all it needs. */
import { payloadFile, readmeOf } from './readme.ts';
import type { Language } from './scaffold.ts';

const commands = ['sh test.sh', 'pop handler run handler.sh --payload payload.json'];

const handler = `#!/bin/sh
# Counts words. Replace this with your own work: exit code 0 is success, and any other is a failure, for which the last
# lines of the output are shown.
set -eu

# The payload is JSON, a large one in several files: payload.json, payload.json.1, ... This takes a text without escapes
# out of it. Where jq is there: cat "$POP_PAYLOAD_FILE"* | jq -r .text
text=$(cat "$POP_PAYLOAD_FILE"* | tr -d '\\n' | sed -n 's/.*"text" *: *"\\([^"]*\\)".*/\\1/p')
if [ -z "$text" ]; then
  echo 'The payload needs a text.' >&2
  exit 1
fi

# A report is whole at once: written beside its place, then moved there. In a Pod there is no such file.
report() {
  [ -n "\${POP_PROGRESS_FILE-}" ] || return 0
  printf '%s' "$1" > "$POP_PROGRESS_FILE.new"
  mv "$POP_PROGRESS_FILE.new" "$POP_PROGRESS_FILE"
}

report '{ "message": "Counting", "percentComplete": 50 }'
# shellcheck disable=SC2086
set -- $text
echo "$# words"
printf '{ "words": %s }' "$#" > "$POP_RESULT_FILE"
`;

const test = `#!/bin/sh
# Runs the handler as a pool worker does: payload in, exit code and result out.
set -eu
cd "$(dirname "$0")"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export POP_PAYLOAD_FILE="$folder/payload.json" POP_RESULT_FILE="$folder/result.json"
export POP_PROGRESS_FILE="$folder/progress.json"

fail() {
  echo "not ok: $1" >&2
  exit 1
}

printf '{ "text": "one two three" }' > "$POP_PAYLOAD_FILE"
sh handler.sh || fail 'it counts the words of a text'
[ "$(cat "$POP_RESULT_FILE")" = '{ "words": 3 }' ] || fail "its result is $(cat "$POP_RESULT_FILE")"
echo 'ok: it counts the words of a text'

printf '{ "text": "one two' > "$POP_PAYLOAD_FILE"
printf ' three four" }' > "$POP_PAYLOAD_FILE.1"
sh handler.sh || fail 'it joins the parts of a large payload'
[ "$(cat "$POP_RESULT_FILE")" = '{ "words": 4 }' ] || fail "its result is $(cat "$POP_RESULT_FILE")"
rm "$POP_PAYLOAD_FILE.1"
echo 'ok: it joins the parts of a large payload'

printf '{ "text": "one two three" }' > "$POP_PAYLOAD_FILE"
rm "$POP_RESULT_FILE"
(unset POP_PROGRESS_FILE && sh handler.sh) || fail 'it works without a file for progress, as in a Pod'
[ "$(cat "$POP_RESULT_FILE")" = '{ "words": 3 }' ] || fail "its result is $(cat "$POP_RESULT_FILE")"
echo 'ok: it works without a file for progress, as in a Pod'

rm "$POP_RESULT_FILE"
printf '{}' > "$POP_PAYLOAD_FILE"
if sh handler.sh 2> "$folder/said"; then fail 'without a text it succeeds'; fi
grep -q 'needs a text' "$folder/said" || fail "it says $(cat "$folder/said")"
echo 'ok: it fails without a text, and says why'
`;

const dockerfile = `FROM alpine:3
WORKDIR /handler
COPY handler.sh ./
# By number: Kubernetes cannot tell by a name that it is not root.
USER 65534
ENTRYPOINT ["sh", "/handler/handler.sh"]
`;

/** POSIX shell. */
export const shell: Language = {
  command: ['sh', 'handler.sh'],
  sdk: 'none',
  commands,
  files: (name) => ({
    'handler.sh': handler,
    'test.sh': test,
    'payload.json': payloadFile,
    Dockerfile: dockerfile,
    'README.md': readmeOf(name, {
      commands,
      files: ['`handler.sh`: the handler; `test.sh`: its test', '`Dockerfile`: its image'],
    }),
  }),
};
