/** A handler in Python, with the module `pop_handler` beside it: its folder can go anywhere, into an image too. */
import { payloadFile, readmeOf } from './readme.ts';
import type { Language } from './scaffold.ts';

const commands = ['python3 -m unittest', 'pop handler run handler.py --payload payload.json'];

const handler = `"""Counts words. Replace this with your own work: what is returned is the result of the Operation."""

from pop_handler import fail, run_handler


def handle(context):
    text = (context.payload or {}).get("text")
    if not isinstance(text, str):
        fail("The payload needs a text.", code="noText")
    words = text.split()
    for index, word in enumerate(words):
        context.report(message=f"Word {index + 1}", percent_complete=100 * index / len(words))
        context.log(word)
    return {"words": len(words)}


if __name__ == "__main__":
    run_handler(handle)
`;

const test = `"""Runs the handler as a pool worker does: payload in, exit code and result out."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

PROGRAM = pathlib.Path(__file__).with_name("handler.py")


def run(payload):
    with tempfile.TemporaryDirectory() as folder:
        result_file = pathlib.Path(folder, "result.json")
        environment = {
            **os.environ,
            "PAYLOAD": json.dumps(payload),
            "POP_RESULT_FILE": str(result_file),
            "POP_PROGRESS_FILE": str(pathlib.Path(folder, "progress.json")),
        }
        done = subprocess.run([sys.executable, PROGRAM], env=environment, capture_output=True, text=True)
        result = json.loads(result_file.read_text()) if result_file.exists() else None
        return done.returncode, result, done.stdout + done.stderr


class HandlerTest(unittest.TestCase):
    def test_counts_the_words_of_a_text(self):
        status, result, output = run({"text": "one two three"})
        self.assertEqual(status, 0, output)
        self.assertEqual(result, {"words": 3})

    def test_fails_without_a_text_and_says_why(self):
        status, _, output = run({})
        self.assertEqual(status, 1)
        self.assertIn("needs a text", output)
`;

const dockerfile = `FROM python:3.13-slim
WORKDIR /handler
COPY pop_handler ./pop_handler
COPY handler.py ./
# By number: Kubernetes cannot tell by a name that it is not root.
USER 65534
ENTRYPOINT ["python3", "/handler/handler.py"]
`;

/** Python without packages from elsewhere. */
export const python: Language = {
  command: ['python3', 'handler.py'],
  sdk: 'pythonModule',
  commands,
  files: (name) => ({
    'handler.py': handler,
    'test_handler.py': test,
    'payload.json': payloadFile,
    Dockerfile: dockerfile,
    '.gitignore': '__pycache__/\n',
    'README.md': readmeOf(name, {
      commands,
      files: [
        '`handler.py`: the handler; `test_handler.py`: its test',
        '`pop_handler/`: the SDK, a copy, so that nothing else is needed',
        '`Dockerfile`: its image',
      ],
    }),
  }),
};
