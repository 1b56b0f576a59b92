"""With the Python module: reports wherever it runs, goes on where the attempt before stopped."""
from pop_handler import fail, run_handler


def handle(context):
    files = context.payload["files"]
    words, done = context.resumed.get("words", 0), context.resumed.get("done", 0)
    for index, file in enumerate(files[done:], done):
        context.report(f"Reading {file}", 100 * index / len(files), params={"words": words, "done": index})
        try:
            with open(file, encoding="utf-8") as text:
                words += len(text.read().split())
        except OSError as error:
            fail(f"{file} cannot be read: {error}", "noFile")
        context.log(f"{file}: {words} words so far")
    return {"words": words}


run_handler(handle)
